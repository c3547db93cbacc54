// Scripts in machines of the site: Azure's run commands, which Azure keeps as resources of the machine under a name that we give.
// https://learn.microsoft.com/azure/virtual-machines/run-command-overview
import type { VirtualMachineRunCommand } from '@azure/arm-compute'
import type { Clock } from '@understudy/base/instant'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { CloudScriptState, CloudScripts } from '@understudy/engine/ports/cloud-services'
import { machineNotFound } from '../arm-failures.ts'
import { readResourceId } from '../resource-id.ts'
import type { ArmSettings } from '../settings.ts'
import type { CommandAddress, ServiceCalls } from './service-calls.ts'

/** On a run command of ours: the second from which nobody asks for it any more. */
const UNTIL_TAG = 'understudy-until'
/** How long after its time an end can still be asked for. Azure keeps 25 in a machine. */
const KEPT_SECONDS = 24 * 3600

export function runScripts(
  calls: ServiceCalls,
  settings: Pick<ArmSettings, 'region' | 'resourceGroup'>,
  clock: Clock,
): CloudScripts {
  const { commands } = calls
  const addressOf = (id: string, machine: MachineRef): CommandAddress => {
    const found = readResourceId(machine)
    const [name] = found?.names ?? []
    if (name === undefined || found === null) throw machineNotFound(machine)
    return { resourceGroup: found.resourceGroup, machine: name, name: `understudy-${id}` }
  }
  return {
    async begin(id, machine, { text, variables, limitSeconds, deadline }, signal) {
      const at = addressOf(id, machine)
      if ((await commands.find(at, signal)) !== null) return
      await removeOld(calls, at, Math.floor(clock.now() / 1000), signal)
      // Nothing of it tells when it was sent: what is written anew and differs, Azure may run once more.
      const command: VirtualMachineRunCommand = {
        location: settings.region,
        tags: { [UNTIL_TAG]: `${Math.ceil(deadline / 1000) + KEPT_SECONDS}` },
        source: { script: text },
        // Named ones alone: what has no name Azure's agent writes into a line of a shell. Protected ones: Azure shows them to nobody. An
        // empty one the agent leaves out, as if it were not set.
        protectedParameters: Object.entries(variables).map(([name, value]) => ({ name, value })),
        timeoutInSeconds: limitSeconds,
        // Azure's own work is over once the script has begun: it says nothing of how the script ends.
        asyncExecution: true,
      }
      await commands.create(at, command, signal)
    },
    async state(id, machine, signal) {
      return toState(await commands.find(addressOf(id, machine), signal))
    },
    end: (id, machine, signal) => commands.remove(addressOf(id, machine), signal),
  }
}

/** An end that nobody has asked for in a day. Never what is not ours. */
async function removeOld(
  { commands }: ServiceCalls,
  { resourceGroup, machine }: CommandAddress,
  nowSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  for (const { name, tags } of await commands.list({ resourceGroup, machine }, signal)) {
    const until = Number(tags?.[UNTIL_TAG] ?? Number.NaN)
    if (name !== undefined && until < nowSeconds)
      await commands.remove({ resourceGroup, machine, name }, signal)
  }
}

function toState(command: VirtualMachineRunCommand | null): CloudScriptState {
  if (command === null) return { kind: 'unknown' }
  const { instanceView: view, provisioningState } = command
  const { exitCode, executionMessage } = view ?? {}
  const output = [view?.output ?? '', view?.error ?? ''].filter((text) => text !== '').join('\n')
  switch (view?.executionState ?? 'Unknown') {
    case 'Succeeded':
      return { kind: 'ended', exitCode: exitCode ?? 0, output }
    case 'Failed':
      return exitCode === undefined || exitCode === 0
        ? { kind: 'failed', message: executionMessage ?? 'it gives no reason' }
        : { kind: 'ended', exitCode, output }
    case 'TimedOut':
      return { kind: 'timeout', output }
    case 'Canceled':
      return { kind: 'cancelled', output }
  }
  if (provisioningState === 'Failed' || provisioningState === 'Canceled')
    return {
      kind: 'failed',
      message: executionMessage ?? `it was not brought to the guest (${provisioningState})`,
    }
  return { kind: 'running' }
}
