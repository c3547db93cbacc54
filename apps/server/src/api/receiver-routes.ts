import { Refusal } from '@understudy/base/errors'
import { toIso } from '@understudy/base/instant'
import type { Receiver as ShownReceiver } from '@understudy/contract/receiver'
import { stateOfAgent } from '@understudy/domain/agents/agent'
import { proposeDisks } from '@understudy/domain/failover/receiver'
import type { DiskKey, Machine } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import type { Receiver } from '../agents/receivers.ts'
import { callerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findAgent, findMachine } from './find.ts'

export function receiverRoutes(deps: ApiDeps) {
  const { receivers, stores } = deps
  return {
    receivers: os.agents.receivers.handler(async ({ input }) => {
      const found = await receivers.list((input.siteId as SiteId | undefined) ?? null)
      const machines = await stores.machines.list(input.siteId as SiteId | undefined)
      const moment = { now: deps.clock.now(), silentSeconds: deps.agents.silentSeconds }
      return { items: found.map((receiver) => showReceiver(receiver, machines, moment)) }
    }),
    serversFor: os.agents.serversFor.handler(async ({ input }) => {
      const agent = await findAgent(deps, input.id)
      const [servers, all] = await Promise.all([receivers.serversFor(agent), receivers.list(agent.siteId)])
      const there = all.find((each) => each.agent.id === agent.id)?.described?.disks ?? []
      return {
        items: servers.map(({ id, name, hardware }) => {
          const proposed = proposeDisks(hardware.disks, there)
          return {
            machineId: id,
            name,
            disks: hardware.disks.map(({ key, label, bytes }) => ({
              key,
              label,
              bytes,
              proposed: proposed.get(key)?.path ?? null,
            })),
          }
        }),
      }
    }),
    assign: os.agents.assign.handler(async ({ input, context }) => {
      const [agent, machine] = await Promise.all([
        findAgent(deps, input.id),
        findMachine(deps, input.machineId),
      ])
      context.audit(agent.id, { name: agent.name, server: machine.name, disks: input.disks })
      if (input.confirm.trim() !== machine.name) throw notConfirmed(machine)
      const disks = input.disks.map((disk) => ({ ...disk, key: disk.key as DiskKey }))
      await receivers.assign(agent, { machine, disks, by: callerOf(context).name })
      return {}
    }),
    takeBack: os.agents.takeBack.handler(async ({ input, context }) => {
      const agent = await findAgent(deps, input.id)
      context.audit(agent.id, { name: agent.name })
      await receivers.takeBack(agent, callerOf(context).name)
      return {}
    }),
  }
}

function showReceiver(
  { agent, assignment, described }: Receiver,
  machines: readonly Machine[],
  { now, silentSeconds }: { readonly now: number; readonly silentSeconds: number },
): ShownReceiver {
  const machine =
    assignment &&
    machines.find(({ siteId, ref }) => siteId === assignment.siteId && ref === assignment.serverRef)
  return {
    agentId: agent.id,
    siteId: agent.siteId,
    name: agent.name,
    state: stateOfAgent(agent, now, silentSeconds),
    model: agent.hardware?.model ?? null,
    addresses: described?.addresses ?? [],
    disks:
      described?.disks.map(({ path, bytes, model, serial, bus, blocked }) => ({
        path,
        bytes,
        model,
        serial,
        bus,
        blocked,
      })) ?? null,
    assignment: assignment && {
      id: assignment.id,
      machineId: machine?.id ?? null,
      serverName: machine?.name ?? assignment.serverRef,
      state: assignment.state,
      disks: assignment.disks.map((disk) => ({ ...disk })),
      assignedBy: assignment.assignedBy,
      assignedAt: toIso(assignment.assignedAt),
    },
  }
}

const notConfirmed = ({ name }: Machine): Refusal =>
  new Refusal({
    code: 'receiver/not-confirmed',
    message: 'What is on the disks of the receiver would be lost, and that was not confirmed',
    remedy: `Type the name of the server: ${name}`,
  })
