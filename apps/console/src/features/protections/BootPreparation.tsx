import {
  ActionIcon,
  Alert,
  Box,
  Button,
  Code,
  CopyButton,
  Group,
  List,
  Modal,
  Stack,
  Text,
  Tooltip,
} from '@mantine/core'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { BootCheck } from '@understudy/contract/boot-check'
import type { Protection } from '@understudy/contract/protection'
import { roleOf } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { readable } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { When } from '../../ui/When.tsx'
import {
  inOrderOfGravity,
  toneOfOutcome,
  verdictWords,
  wordsOfGuestHardware,
  wordsOfOutcome,
} from './boot-words.ts'

/** Whether the machine would start on the hardware of its target, and what to type in it where it would not. */
export function BootPreparation({ protection }: { readonly protection: Protection }) {
  const refused = useWhyRefused()(roleOf.protections.checkBoot)
  const queries = useQueryClient()
  const query = api.protections.bootCheck.queryOptions({ input: { id: protection.id } })
  const { data: check, error } = useQuery(query)
  const ask = useMutation({
    mutationFn: () => client.protections.checkBoot({ id: protection.id }),
    onSuccess: (fresh) => queries.setQueryData(query.queryKey, fresh),
  })
  const preparing = check?.preparation?.underWay === true
  return (
    <Panel
      title="Boot preparation"
      actions={
        <Group gap="xs">
          {check?.preparation && <PrepareServer check={check} protection={protection} />}
          <ActionButton
            variant="default"
            size="xs"
            reason={
              refused ??
              (ask.isPending ? 'The machine is being asked' : preparing ? 'It is being prepared' : null)
            }
            onClick={() => ask.mutate()}
          >
            {ask.isPending ? 'Asking the machine …' : 'Check again'}
          </ActionButton>
        </Group>
      }
    >
      <Stack gap="md">
        {ask.error && <ProblemAlert error={ask.error} />}
        {error ? (
          <ProblemAlert error={error} />
        ) : check ? (
          <Shown check={check} protection={protection} />
        ) : (
          <RowSkeletons rows={4} />
        )}
      </Stack>
    </Panel>
  )
}

/** Changes the server itself, so it says what it does before it does it. */
function PrepareServer({ check, protection }: ShownProps) {
  const refused = useWhyRefused()(roleOf.protections.prepareBoot)
  const queries = useQueryClient()
  const [opened, setOpened] = useState(false)
  const prepare = useMutation({
    mutationFn: () => client.protections.prepareBoot({ id: protection.id }),
    onSuccess: (fresh) => {
      queries.setQueryData(api.protections.bootCheck.queryKey({ input: { id: protection.id } }), fresh)
      setOpened(false)
    },
  })
  const { underWay, done } = check.preparation ?? { underWay: false, done: null }
  return (
    <>
      <ActionButton
        variant="default"
        size="xs"
        reason={refused ?? (underWay ? 'It is under way' : null)}
        onClick={() => setOpened(true)}
      >
        {underWay ? 'Preparing the server …' : done ? 'Prepare again' : 'Prepare this server'}
      </ActionButton>
      <Modal opened={opened} onClose={() => setOpened(false)} title={`Prepare ${protection.name}`}>
        <Stack gap="md">
          {prepare.error && <ProblemAlert error={prepare.error} />}
          <Text size="sm">
            The agent puts the drivers that {protection.name} needs at {protection.target.name} into its
            initial memory disks, and installs a step that sets the network when a replica of it starts there.
            On the server itself that step does nothing.
          </Text>
          <Text size="sm">
            Each memory disk is built beside the old one, looked into, and only then put in its place; the old
            one is kept. All of it is undone when the protection ends. Boot loader, /etc/fstab and the network
            of the server are left as they are.
          </Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setOpened(false)}>
              Cancel
            </Button>
            <Button loading={prepare.isPending} onClick={() => prepare.mutate()}>
              Prepare {protection.name}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}

type ShownProps = { readonly check: BootCheck; readonly protection: Protection }

function Shown({ check, protection }: ShownProps) {
  const { judged, trouble, verdict } = check
  const { target } = protection
  return (
    <>
      <Group gap="xs" wrap="wrap" role="status" aria-label="Verdict">
        <StatusMark tone={toneOfOutcome[verdict]}>{verdictWords(check, target.name)}</StatusMark>
        {judged && (
          <Text size="sm" c="var(--ink-quiet)" span>
            {judged.system}, judged for {wordsOfGuestHardware[judged.hardware]} hardware, asked{' '}
            <When at={judged.at} />
          </Text>
        )}
      </Group>
      {judged?.emulatedOn && (
        <Alert color="blue" variant="light">
          {target.name} is emulated and gives its machines {wordsOfGuestHardware[judged.emulatedOn]} hardware,
          so what is said here holds for the real place and keeps nothing from starting in the emulation.
        </Alert>
      )}
      {trouble && (
        <Alert color="yellow" variant="light" title={judged ? 'It could not be asked again' : 'Not checked'}>
          {readable(trouble.message)} (<When at={trouble.at} />
          ). {readable(trouble.remedy)}
        </Alert>
      )}
      {!judged && !trouble && (
        <Text size="sm">It is asked by itself once its first copy is there, and then every day.</Text>
      )}
      {check.preparation?.underWay && (
        <Text size="sm" role="status">
          The server is being prepared. It takes minutes where its processors are slow; what comes of it
          stands here and under Events.
        </Text>
      )}
      {check.preparation?.done && !check.preparation.underWay && (
        <Text size="sm" c="var(--ink-quiet)">
          Prepared <When at={check.preparation.done.at} />: {check.preparation.done.changes.join(', ')}.
          Undone when the protection ends.
        </Text>
      )}
      {judged && (
        <List listStyleType="none" spacing="md" pl={0} aria-label="What was looked at">
          {inOrderOfGravity(judged.findings).map((finding) => (
            <List.Item
              key={finding.code}
              styles={{ itemWrapper: { width: '100%' }, itemLabel: { width: '100%' } }}
            >
              <FindingRow finding={finding} />
            </List.Item>
          ))}
        </List>
      )}
    </>
  )
}

function FindingRow({ finding }: { readonly finding: NonNullable<BootCheck['judged']>['findings'][number] }) {
  const { outcome, title, message, remedy, commands } = finding
  return (
    <Stack gap={2}>
      <Group gap="sm" wrap="wrap">
        <Box w={110}>
          <StatusMark tone={toneOfOutcome[outcome]}>{wordsOfOutcome[outcome]}</StatusMark>
        </Box>
        <Text size="sm" fw={600}>
          {title}
        </Text>
      </Group>
      <Box pl={{ base: 0, sm: 122 }}>
        <Text size="sm">{readable(message.replace(/\.?$/, '.'))}</Text>
        {remedy && (
          <Text size="sm" c="var(--ink-quiet)">
            {readable(remedy)}
          </Text>
        )}
        {commands && <Commands text={commands} of={title} />}
      </Box>
    </Stack>
  )
}

function Commands({ text, of }: { readonly text: string; readonly of: string }) {
  return (
    <Group gap={4} wrap="nowrap" align="flex-start" mt={4}>
      <Code block style={{ flex: 1, minWidth: 0 }} tabIndex={0} aria-label={`Commands: ${of}`}>
        {text}
      </Code>
      <CopyButton value={text} timeout={1500}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? 'Copied' : 'Copy the commands'}>
            <ActionIcon
              variant="subtle"
              color={copied ? 'teal' : 'gray'}
              onClick={copy}
              aria-label={copied ? 'Copied' : `Copy the commands: ${of}`}
            >
              {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </Group>
  )
}
