import { Alert, Button, Code, CopyButton, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { IconCheck, IconCopy, IconPlugConnected } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Agent, AgentInvitation, AgentRole } from '@understudy/contract/agent'
import type { Site } from '@understudy/contract/site'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useNow } from '../../ui/use-now.ts'
import { countDown, noteOfRole, toneOfState, wordsOfRole, wordsOfState } from './agent-words.ts'

type EnrolAgentProps = {
  readonly site: Pick<Site, 'id' | 'name'>
  /** Of the site: the new one appears among them. */
  readonly agents: readonly Agent[]
  readonly becomes: AgentRole
  readonly onClose: () => void
}

/** What it may do first, then the command, which is shown once, until its token has made an agent or has expired. */
export function EnrolAgent({ site, agents, becomes, onClose }: EnrolAgentProps) {
  const queries = useQueryClient()
  const [proxy, setProxy] = useState('')
  const invite = useMutation({
    mutationFn: () => client.agents.invite({ id: site.id, roles: [becomes], proxy: proxy.trim() || null }),
    onSettled: () => queries.invalidateQueries({ queryKey: api.agents.key() }),
  })
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Enrol ${becomes === 'receiver' ? 'a receiver' : 'an agent'} at ${site.name}`}
      size={680}
    >
      {invite.data ? (
        <Invitation
          invitation={invite.data}
          agent={agents.find(({ invitationId }) => invitationId === invite.data.id)}
          onClose={onClose}
          onAgain={() => invite.mutate()}
        />
      ) : (
        <Stack>
          <div>
            <Text size="sm" fw={500}>
              {wordsOfRole[becomes]}
            </Text>
            <Text size="sm" c="var(--ink-quiet)">
              {noteOfRole[becomes]}
            </Text>
          </div>
          <TextInput
            label="Proxy"
            description="By which the server reaches this control plane. Leave it empty where there is none."
            placeholder="http://proxy:3128"
            value={proxy}
            onChange={(event) => setProxy(event.currentTarget.value)}
          />
          <ProblemAlert error={invite.error} />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button loading={invite.isPending} onClick={() => invite.mutate()}>
              Make the command
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  )
}

type InvitationProps = {
  readonly invitation: AgentInvitation
  readonly agent: Agent | undefined
  readonly onClose: () => void
  readonly onAgain: () => void
}

function Invitation({ invitation, agent, onClose, onAgain }: InvitationProps) {
  const now = useNow(1000)
  const { command, installCommand } = invitation
  const shown = installCommand ?? command
  const isReceiver = invitation.roles.includes('receiver')
  const isOver = Date.parse(invitation.expiresAt) <= now
  if (agent)
    return (
      <Stack>
        <Alert
          color="green"
          variant="light"
          icon={<IconPlugConnected size={18} />}
          title={`${agent.name} is enrolled`}
        >
          <StatusMark tone={toneOfState[agent.state]}>{wordsOfState[agent.state]}</StatusMark>
          {agent.state === 'expected' && !isReceiver && (
            <Text size="sm" mt="xs">
              It connects once it is started there: <Code>understudy-agent run</Code>
            </Text>
          )}
        </Alert>
        <Button onClick={onClose}>Done</Button>
      </Stack>
    )
  return (
    <Stack>
      <Text size="sm">
        {isReceiver
          ? 'Run this in the rescue system of the computer that is to be written.'
          : 'Run this as root on the server that becomes an agent.'}{' '}
        It works once, and whoever has it can enrol an agent here: it is not kept and cannot be shown again.
      </Text>
      {installCommand === null && !isReceiver && (
        <Text size="sm" c="var(--ink-quiet)">
          The agent&apos;s program is not built here, so the server has to have it.{' '}
          <Code>npm run build:agent</Code> beside this control plane builds it; the command then fetches it as
          well.
        </Text>
      )}
      <Code block style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }} aria-label="Command">
        {shown}
      </Code>
      <Group justify="space-between">
        <Text size="sm" className="number" role="timer" aria-live="off">
          {isOver ? 'The token has expired' : `The token works for ${countDown(invitation.expiresAt, now)}`}
        </Text>
        {isOver ? (
          <Button onClick={onAgain}>Make another one</Button>
        ) : (
          <CopyButton value={shown} timeout={1500}>
            {({ copied, copy }) => (
              <Button leftSection={copied ? <IconCheck size={16} /> : <IconCopy size={16} />} onClick={copy}>
                {copied ? 'Copied' : 'Copy the command'}
              </Button>
            )}
          </CopyButton>
        )}
      </Group>
    </Stack>
  )
}
