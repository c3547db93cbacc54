import {
  Alert,
  Button,
  Drawer,
  Group,
  NumberInput,
  Select,
  Stack,
  Table,
  Text,
  TextInput,
  VisuallyHidden,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconKey, IconPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { Role } from '@understudy/contract/access'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'
import { CopyText } from '../../ui/CopyText.tsx'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { When } from '../../ui/When.tsx'
import { findRole, roleOptions } from './role-words.ts'

type Token = { readonly id: string; readonly name: string }

/** Tokens for scripts. The secret is shown once, right after it was made. */
export function TokenList() {
  const { data, error } = useQuery(api.tokens.list.queryOptions())
  const [opened, { open, close }] = useDisclosure()
  const [revoked, setRevoked] = useState<Token | null>(null)
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={3} />
  const add = (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      New token
    </Button>
  )
  return (
    <>
      {data.items.length === 0 ? (
        <EmptyState icon={IconKey} title="No API token" action={add}>
          A token lets a script or Terraform call the API under its own name and role. The API page under API
          in the menu says how.
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
                  <Table.Th>Role</Table.Th>
                  <Table.Th>Made</Table.Th>
                  <Table.Th>Last used</Table.Th>
                  <Table.Th>Ends</Table.Th>
                  <Table.Th>
                    <VisuallyHidden>Actions</VisuallyHidden>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {data.items.map((token) => (
                  <Table.Tr key={token.id}>
                    <Table.Td fw={500}>{token.name}</Table.Td>
                    <Table.Td>{token.role}</Table.Td>
                    <Table.Td>
                      <When at={token.createdAt} />
                    </Table.Td>
                    <Table.Td>
                      <When at={token.lastUsedAt} absent="never" />
                    </Table.Td>
                    <Table.Td>
                      <When at={token.expiresAt} absent="never" />
                    </Table.Td>
                    <Table.Td ta="right">
                      <Button
                        variant="subtle"
                        color="red"
                        size="compact-xs"
                        onClick={() => setRevoked(token)}
                        aria-label={`Revoke ${token.name}`}
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
        title="New token"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <TokenForm onDone={close} />
      </Drawer>
      {revoked && <RevokeToken token={revoked} onDone={() => setRevoked(null)} />}
    </>
  )
}

function RevokeToken({ token, onDone }: { readonly token: Token; readonly onDone: () => void }) {
  const queries = useQueryClient()
  const remove = useMutation({
    mutationFn: () => client.tokens.remove({ id: token.id }),
    onSuccess: onDone,
    onSettled: () => queries.invalidateQueries({ queryKey: api.tokens.key() }),
  })
  return (
    <ConfirmByName
      opened
      onClose={onDone}
      title={`Revoke ${token.name}?`}
      name={token.name}
      confirm={`Revoke ${token.name}`}
      pending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
    >
      <Text size="sm">Whatever uses this token is refused from now on. This cannot be undone.</Text>
    </ConfirmByName>
  )
}

function TokenForm({ onDone }: { readonly onDone: () => void }) {
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('reader')
  const [days, setDays] = useState(90)
  const create = useMutation({
    mutationFn: () => client.tokens.create({ name, role, expiresInDays: days === 0 ? null : days }),
    onSettled: () => queries.invalidateQueries({ queryKey: api.tokens.key() }),
  })
  if (create.data)
    return (
      <Stack>
        <Alert
          color="green"
          variant="light"
          icon={<IconKey size={18} />}
          title={`${create.data.name} is made`}
        >
          <Text size="sm" mb="xs">
            Copy its secret now: it is not kept and cannot be shown again.
          </Text>
          <CopyText text={create.data.secret} what="secret" />
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
          description="What uses it: terraform, nightly test"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={fieldProblem(create.error, 'name')}
          required
          data-autofocus
        />
        <Select
          label="Role"
          allowDeselect={false}
          value={role}
          data={roleOptions}
          onChange={(value) => {
            const chosen = findRole(value)
            if (chosen) setRole(chosen)
          }}
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
          Make the token
        </Button>
      </Stack>
    </form>
  )
}
