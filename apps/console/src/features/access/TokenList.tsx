import { Alert, Button, NumberInput, Select, Stack, Text, TextInput } from '@mantine/core'
import { IconKey } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { Role } from '@understudy/contract/access'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { CopyText } from '../../ui/CopyText.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { AccessList } from './AccessList.tsx'
import { findRole, roleOptions } from './role-words.ts'

/** Tokens for scripts. The secret is shown once, right after it was made. */
export function TokenList() {
  const queries = useQueryClient()
  const { data, error } = useQuery(api.tokens.list.queryOptions())
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={3} />
  return (
    <AccessList
      items={data.items}
      icon={IconKey}
      newTitle="New token"
      empty={{
        title: 'No API token',
        words:
          'A token lets a script or Terraform call the API under its own name and role. The API page under API in the menu says how.',
      }}
      column={{ title: 'Role', of: ({ role }) => role }}
      form={(onDone) => <TokenForm onDone={onDone} />}
      revoke={{
        words: 'Whatever uses this token is refused from now on.',
        act: (id) => client.tokens.remove({ id }),
        onSettled: () => queries.invalidateQueries({ queryKey: api.tokens.key() }),
      }}
    />
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
