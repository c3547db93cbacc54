import { Modal, Select, Stack, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { ReceivableServer, Receiver } from '@understudy/contract/receiver'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'

type AssignReceiverProps = { readonly receiver: Receiver; readonly onDone: () => void }

/** Which server comes home to it, and which of its disks is overwritten with what: said with the models and sizes of this computer. */
export function AssignReceiver({ receiver, onDone }: AssignReceiverProps) {
  const { data, error } = useQuery(api.agents.serversFor.queryOptions({ input: { id: receiver.agentId } }))
  const [machineId, setMachineId] = useState<string | null>(null)
  const server = data?.items.find((each) => each.machineId === machineId) ?? data?.items[0]
  if (server)
    return (
      <ChooseDisks
        key={server.machineId}
        receiver={receiver}
        server={server}
        servers={data?.items ?? []}
        onServer={setMachineId}
        onDone={onDone}
      />
    )
  return (
    <Modal opened onClose={onDone} title={`Use ${receiver.name} for a server`}>
      <ProblemAlert error={error} />
      {data && (
        <Text size="sm">
          No server of this site waits to come home: only one that is failed over, and has no receiver yet,
          can be written to other disks.
        </Text>
      )}
    </Modal>
  )
}

type ChooseDisksProps = AssignReceiverProps & {
  readonly server: ReceivableServer
  readonly servers: readonly ReceivableServer[]
  readonly onServer: (machineId: string | null) => void
}

function ChooseDisks({ receiver, server, servers, onServer, onDone }: ChooseDisksProps) {
  const queries = useQueryClient()
  const proposed = server.disks.map(({ key, proposed: path }) => [key, path] as const)
  const [paths, setPaths] = useState<ReadonlyMap<string, string | null>>(new Map(proposed))
  const there = receiver.disks ?? []
  const chosen = server.disks.flatMap(({ key }) => {
    const disk = there.find(({ path }) => path === paths.get(key))
    return disk ? [{ key, disk }] : []
  })
  const assign = useMutation({
    mutationFn: () =>
      client.agents.assign({
        id: receiver.agentId,
        machineId: server.machineId,
        disks: chosen.map(({ key, disk: { path, bytes, serial } }) => ({ key, path, bytes, serial })),
        confirm: server.name,
      }),
    onSuccess: onDone,
    onSettled: () => queries.invalidateQueries({ queryKey: api.agents.key() }),
  })
  return (
    <ConfirmByName
      opened
      onClose={onDone}
      title={`Use ${receiver.name} for a server`}
      name={server.name}
      confirm="Overwrite these disks"
      pending={assign.isPending}
      error={assign.error}
      onConfirm={() => assign.mutate()}
    >
      <Stack gap="sm">
        <Select
          label="Server that comes home"
          data={servers.map((each) => ({ value: each.machineId, label: each.name }))}
          value={server.machineId}
          onChange={onServer}
          allowDeselect={false}
        />
        {server.disks.map(({ key, label, bytes }) => (
          <Select
            key={key}
            label={`${label} (${formatBytes(bytes)}) goes to`}
            placeholder="No disk"
            clearable
            data={there.map((disk) => ({
              value: disk.path,
              label: wordsOf(disk),
              disabled: disk.blocked !== null || disk.bytes < bytes,
            }))}
            value={paths.get(key) ?? null}
            onChange={(path) => setPaths(new Map([...paths, [key, path]]))}
          />
        ))}
        <Text size="sm">
          When {server.name} is failed back, everything on{' '}
          <b>
            {chosen.length === 0
              ? 'the disks that you choose'
              : chosen.map(({ disk }) => wordsOf(disk)).join(' and ')}
          </b>{' '}
          of this computer is overwritten and lost. Until then nothing is written.
        </Text>
      </Stack>
    </ConfirmByName>
  )
}

const wordsOf = ({ path, bytes, model, serial }: NonNullable<Receiver['disks']>[number]): string =>
  [path, formatBytes(bytes), model, serial].filter((part) => part !== null).join(', ')
