import { Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Agent } from '@understudy/contract/agent'
import { api, client } from '../../api/client.ts'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'
import { When } from '../../ui/When.tsx'
import { wordsOfHardware } from './agent-words.ts'

/** A copy of the server that was started elsewhere looks the same from here: a person has to know better. */
export function AcceptHardware({ agent, onDone }: { readonly agent: Agent; readonly onDone: () => void }) {
  const queries = useQueryClient()
  const other = agent.otherHardware
  const accept = useMutation({
    mutationFn: () => client.agents.acceptHardware({ id: agent.id, at: other?.at ?? '' }),
    onSuccess: onDone,
    onSettled: () => queries.invalidateQueries({ queryKey: api.agents.key() }),
  })
  if (!other) return null
  return (
    <ConfirmByName
      opened
      onClose={onDone}
      title={`New hardware of ${agent.name}?`}
      name={agent.name}
      confirm={`It is ${agent.name}`}
      pending={accept.isPending}
      error={accept.error}
      onConfirm={() => accept.mutate()}
    >
      <Text size="sm">
        Since <When at={other.at} /> the agent comes from {wordsOfHardware(other.model)} (host name{' '}
        {other.hostName}), and is refused: {other.why}.
      </Text>
      <Text size="sm" mt="sm">
        Go on only if this is the server itself with new hardware. If it is a copy of it, as a recovery point
        that was started elsewhere is, its disks would be replicated in place of those of the server: remove
        the agent there instead.
      </Text>
    </ConfirmByName>
  )
}
