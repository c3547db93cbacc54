import { Alert, Button, NumberInput, Select, Stack, Switch, Text, TextInput } from '@mantine/core'
import { IconDeviceTv } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { WallLayout } from '@understudy/contract/wall'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { formatDuration } from '../../lib/format.ts'
import { keysOf } from '../../lib/keys-of.ts'
import { CopyText } from '../../ui/CopyText.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { AccessList } from './AccessList.tsx'

const titleOfLayout: Record<WallLayout, string> = {
  sites: 'Sites',
  machines: 'Machines',
  plans: 'Plans',
  incident: 'Incident',
}

/** Links that open the wall on a screen where nobody signs in. The address is shown once, right after it was made. */
export function DisplayLinkList() {
  const queries = useQueryClient()
  const { data, error } = useQuery(api.displayLinks.list.queryOptions())
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={3} />
  return (
    <AccessList
      items={data.items}
      icon={IconDeviceTv}
      newTitle="New display link"
      empty={{
        title: 'No display link',
        words:
          'A display link opens the wall on a screen without signing in: sites, machines, plans, and the incident while something is failed over. It shows states, names, progress and times, and can do nothing.',
      }}
      column={{
        title: 'Shows',
        of: ({ layout, cycleSeconds }) =>
          cycleSeconds === null ? titleOfLayout[layout] : `All in turn, ${formatDuration(cycleSeconds)} each`,
      }}
      madeBy={({ createdBy }) => ` by ${createdBy}`}
      form={(onDone) => <LinkForm onDone={onDone} />}
      revoke={{
        words: 'Every screen that was opened with it goes dark within seconds.',
        act: (id) => client.displayLinks.remove({ id }),
        onSettled: () => queries.invalidateQueries({ queryKey: api.displayLinks.key() }),
      }}
    />
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
