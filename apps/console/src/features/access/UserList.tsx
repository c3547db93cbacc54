import {
  Button,
  Drawer,
  Group,
  PasswordInput,
  Select,
  Stack,
  Table,
  TextInput,
  VisuallyHidden,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { Role, User } from '@understudy/contract/access'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { toastDone, toastProblem } from '../../ui/toast-job.tsx'
import { When } from '../../ui/When.tsx'
import { SetPassword } from './NewPassword.tsx'
import { findRole, roleOptions } from './role-words.ts'

/** Who may sign in, and as what. `me`: nobody takes their own rights away by a slip. */
export function UserList({ me }: { readonly me: string }) {
  const { data, error } = useQuery(api.users.list.queryOptions())
  const [opened, { open, close }] = useDisclosure()
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={3} />
  return (
    <>
      <Group justify="flex-end" p={10}>
        <Button leftSection={<IconPlus size={16} />} onClick={open}>
          New user
        </Button>
      </Group>
      <Table.ScrollContainer minWidth={680}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Role</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th>Last seen</Table.Th>
              <Table.Th>Since</Table.Th>
              <Table.Th>
                <VisuallyHidden>Actions</VisuallyHidden>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {data.items.map((user) => (
              <UserRow key={user.id} user={user} mine={user.id === me} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Drawer
        opened={opened}
        onClose={close}
        position="right"
        title="New user"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <UserForm onDone={close} />
      </Drawer>
    </>
  )
}

function UserRow({ user, mine }: { readonly user: User; readonly mine: boolean }) {
  const queries = useQueryClient()
  const onSettled = () => queries.invalidateQueries({ queryKey: api.users.key() })
  const onError = (error: unknown) => toastProblem(`${user.name} was not changed`, error)
  const change = useMutation({
    mutationFn: (part: { role?: Role; disabled?: boolean }) => client.users.update({ id: user.id, ...part }),
    onError,
    onSettled,
  })
  const remove = useMutation({ mutationFn: () => client.users.remove({ id: user.id }), onError, onSettled })
  const own = mine ? 'This is you' : null
  const [setting, { open: set, close: stopSetting }] = useDisclosure()
  return (
    <Table.Tr>
      <Table.Td fw={500}>
        {user.name}
        {mine ? ' (you)' : ''}
      </Table.Td>
      <Table.Td>
        {mine ? (
          // Nobody takes their own rights away by a slip.
          roleOptions.find(({ value }) => value === user.role)?.label
        ) : (
          <Select
            aria-label={`Role of ${user.name}`}
            size="xs"
            w={210}
            allowDeselect={false}
            value={user.role}
            data={roleOptions}
            onChange={(value) => {
              const chosen = findRole(value)
              if (chosen) change.mutate({ role: chosen })
            }}
          />
        )}
      </Table.Td>
      <Table.Td>
        <StatusMark tone={user.disabled ? 'off' : 'good'}>{user.disabled ? 'Disabled' : 'Active'}</StatusMark>
      </Table.Td>
      <Table.Td>
        <When at={user.lastSeenAt} absent="never" />
      </Table.Td>
      <Table.Td>
        <When at={user.createdAt} />
      </Table.Td>
      <Table.Td>
        <Group gap={4} justify="flex-end" wrap="nowrap">
          <ActionButton
            reason={mine ? 'Change your own in the menu of your account' : null}
            variant="subtle"
            size="compact-xs"
            onClick={set}
          >
            Set a new password
          </ActionButton>
          {setting && <SetPassword user={user} onClose={stopSetting} />}
          <ActionButton
            reason={own}
            variant="subtle"
            size="compact-xs"
            loading={change.isPending}
            onClick={() => change.mutate({ disabled: !user.disabled })}
          >
            {user.disabled ? 'Enable' : 'Disable'}
          </ActionButton>
          <ActionButton
            reason={own}
            variant="subtle"
            color="red"
            size="compact-xs"
            loading={remove.isPending}
            onClick={() => remove.mutate()}
          >
            Remove
          </ActionButton>
        </Group>
      </Table.Td>
    </Table.Tr>
  )
}

function UserForm({ onDone }: { readonly onDone: () => void }) {
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('operator')
  const [password, setPassword] = useState('')
  const create = useMutation({
    mutationFn: () => client.users.create({ name, role, password }),
    onSuccess: () => {
      toastDone(`${name} can sign in now`)
      onDone()
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.users.key() }),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label="Name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={fieldProblem(create.error, 'name')}
          required
          data-autofocus
          autoComplete="off"
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
        <PasswordInput
          label="First password"
          description="At least 12 characters"
          minLength={12}
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={fieldProblem(create.error, 'password')}
          required
        />
        <ProblemAlert error={create.error} />
        <Button type="submit" loading={create.isPending}>
          Make the user
        </Button>
      </Stack>
    </form>
  )
}
