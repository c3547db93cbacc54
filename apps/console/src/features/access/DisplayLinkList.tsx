import {
  Alert,
  Button,
  Drawer,
  Group,
  NumberInput,
  Select,
  Stack,
  Switch,
  Table,
  Text,
  TextInput,
  VisuallyHidden,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconDeviceTv, IconPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { WallLayout } from '@understudy/contract/wall'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { formatDuration } from '../../lib/format.ts'
import { keysOf } from '../../lib/keys-of.ts'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'
import { CopyText } from '../../ui/CopyText.tsx'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { When } from '../../ui/When.tsx'

type Link = { readonly id: string; readonly name: string }

const titleOfLayout: Record<WallLayout, string> = {
  sites: 'Sites',
  machines: 'Machines',
  plans: 'Plans',
  incident: 'Incident',
}

/** Links that open the wall on a screen where nobody signs in. The address is shown once, right after it was made. */
export function DisplayLinkList() {
  const { data, error } = useQuery(api.displayLinks.list.queryOptions())
  const [opened, { open, close }] = useDisclosure()
  const [revoked, setRevoked] = useState<Link | null>(null)
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={3} />
  const add = (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      New display link
    </Button>
  )
  return (
    <>
      {data.items.length === 0 ? (
        <EmptyState icon={IconDeviceTv} title="No display link" action={add}>
          A display link opens the wall on a screen without signing in: sites, machines, plans, and the
          incident while something is failed over. It shows no names of users and can do nothing.
        </EmptyState>
      ) : (
        <>
          <Group justify="flex-end" p={10}>
            {add}
          </Group>
          <Table.ScrollContainer minWidth={640}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Name</Table.Th>
                  <Table.Th>Shows</Table.Th>
                  <Table.Th>Made</Table.Th>
                  <Table.Th>Last used</Table.Th>
                  <Table.Th>Ends</Table.Th>
                  <Table.Th>
                    <VisuallyHidden>Actions</VisuallyHidden>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {data.items.map((link) => (
                  <Table.Tr key={link.id}>
                    <Table.Td fw={500}>{link.name}</Table.Td>
                    <Table.Td>
                      {link.cycleSeconds === null
                        ? titleOfLayout[link.layout]
                        : `All in turn, ${formatDuration(link.cycleSeconds)} each`}
                    </Table.Td>
                    <Table.Td>
                      <When at={link.createdAt} /> by {link.createdBy}
                    </Table.Td>
                    <Table.Td>
                      <When at={link.lastUsedAt} absent="never" />
                    </Table.Td>
                    <Table.Td>
                      <When at={link.expiresAt} absent="never" />
                    </Table.Td>
                    <Table.Td ta="right">
                      <Button
                        variant="subtle"
                        color="red"
                        size="compact-xs"
                        onClick={() => setRevoked(link)}
                        aria-label={`Revoke ${link.name}`}
                      >
                        Revoke
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </>
      )}
      <Drawer
        opened={opened}
        onClose={close}
        position="right"
        title="New display link"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <LinkForm onDone={close} />
      </Drawer>
      {revoked && <RevokeLink link={revoked} onDone={() => setRevoked(null)} />}
    </>
  )
}

function RevokeLink({ link, onDone }: { readonly link: Link; readonly onDone: () => void }) {
  const queries = useQueryClient()
  const remove = useMutation({
    mutationFn: () => client.displayLinks.remove({ id: link.id }),
    onSuccess: onDone,
    onSettled: () => queries.invalidateQueries({ queryKey: api.displayLinks.key() }),
  })
  return (
    <ConfirmByName
      opened
      onClose={onDone}
      title={`Revoke ${link.name}?`}
      name={link.name}
      confirm={`Revoke ${link.name}`}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
    >
      <Text size="sm">
        Every screen that was opened with it goes dark within seconds. This cannot be undone.
      </Text>
    </ConfirmByName>
  )
}

function LinkForm({ onDone }: { readonly onDone: () => void }) {
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [layout, setLayout] = useState<WallLayout>('sites')
  const [cycles, setCycles] = useState(false)
  const [days, setDays] = useState(0)
  const create = useMutation({
    mutationFn: () =>
      client.displayLinks.create({
        name,
        layout,
        cycleSeconds: cycles ? 30 : null,
        expiresInDays: days === 0 ? null : days,
      }),
    onSettled: () => queries.invalidateQueries({ queryKey: api.displayLinks.key() }),
  })
  if (create.data)
    return (
      <Stack>
        <Alert
          color="green"
          variant="light"
          icon={<IconDeviceTv size={18} />}
          title={`${create.data.name} is made`}
        >
          <Text size="sm" mb="xs">
            Open this address on the screen. It is not kept and cannot be shown again; whoever has it sees the
            wall.
          </Text>
          <CopyText text={`${window.location.origin}${create.data.path}`} what="address" />
        </Alert>
        <Button onClick={onDone}>I have it</Button>
      </Stack>
    )
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label="Name"
          description="Where the screen hangs: operations room, second floor"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={fieldProblem(create.error, 'name')}
          required
          data-autofocus
        />
        <Select
          label="Shows"
          description="During a failover every screen shows the incident."
          allowDeselect={false}
          value={layout}
          data={keysOf(titleOfLayout).map((value) => ({ value, label: titleOfLayout[value] }))}
          onChange={(value) => setLayout(keysOf(titleOfLayout).find((each) => each === value) ?? layout)}
        />
        <Switch
          label="All pictures in turn, 30 s each"
          checked={cycles}
          onChange={(event) => setCycles(event.currentTarget.checked)}
        />
        <NumberInput
          label="Ends after, days (0: never)"
          value={days}
          min={0}
          max={3650}
          onChange={(value) => setDays(Number(value))}
          error={fieldProblem(create.error, 'expiresInDays')}
        />
        <ProblemAlert error={create.error} />
        <Button type="submit" loading={create.isPending}>
          Make the link
        </Button>
      </Stack>
    </form>
  )
}
