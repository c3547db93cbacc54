// A ready plan: choose it, give its roles machines, fill its parameters in. What comes of it is a plan like any other.
import {
  Button,
  Group,
  List,
  MultiSelect,
  Select,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { LibraryEntry } from '@understudy/contract/plan-library'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { AskedField, type Given } from './AskedField.tsx'
import { isFilled, type Roles } from './library-draft.ts'
import type { Names } from './plan-draft.ts'
import { useAzureSites } from './use-sites.ts'

type LibraryFormProps = {
  readonly names: Names
  readonly onMade: (planId: string) => void
  readonly onClose: () => void
}

export function LibraryForm({ names, onMade, onClose }: LibraryFormProps) {
  const { data, error } = useQuery({
    ...api.library.list.queryOptions(),
    staleTime: Number.POSITIVE_INFINITY,
  })
  const [id, setId] = useState<string | null>(null)
  if (!data) return error ? <ProblemAlert error={error} /> : <Skeleton h={220} />
  const entry = data.items.find((each) => each.id === id)
  return (
    <Stack gap="md">
      <Select
        label="Ready plan"
        placeholder="Choose one"
        allowDeselect={false}
        data={data.items.map((each) => ({ value: each.id, label: each.title }))}
        value={id}
        onChange={setId}
        data-autofocus
      />
      {entry ? (
        <EntryForm key={entry.id} entry={entry} names={names} onMade={onMade} onClose={onClose} />
      ) : (
        <List size="sm" spacing={6} pr="md">
          {data.items.map(({ id: each, title, summary }) => (
            <List.Item key={each}>
              <b>{title}</b>: {summary}
            </List.Item>
          ))}
        </List>
      )}
    </Stack>
  )
}

function EntryForm({ entry, names, onMade, onClose }: LibraryFormProps & { readonly entry: LibraryEntry }) {
  const queries = useQueryClient()
  const [name, setName] = useState(entry.title)
  const [roles, setRoles] = useState<Roles>({})
  const [sites, setSites] = useState<Readonly<Record<string, string>>>({})
  const azureSites = useAzureSites()
  const [parameters, setParameters] = useState<Given>({})
  const make = useMutation({
    mutationFn: () =>
      client.library.makePlan({
        id: entry.id,
        name: name.trim(),
        roles: Object.fromEntries(Object.entries(roles).map(([role, ids]) => [role, [...ids]])),
        sites: { ...sites },
        parameters,
      }),
    onSuccess: (plan) => onMade(plan.id),
    onSettled: () => queries.invalidateQueries({ queryKey: api.plans.key() }),
  })
  const machines = [...names]
    .map(([value, label]) => ({ value: value as string, label }))
    .toSorted((one, other) => one.label.localeCompare(other.label, undefined, { numeric: true }))
  const open = entry.parameters.filter(({ type }) => type !== 'secret')
  const secrets = entry.parameters.filter(({ type }) => type === 'secret')
  const ready =
    name.trim() !== '' && isFilled(entry.roles, roles) && entry.sites.every(({ name: role }) => role in sites)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (ready && !make.isPending) make.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <div>
          <Text size="sm" style={{ whiteSpace: 'pre-line' }}>
            {entry.documentation.trim()}
          </Text>
          <Text size="xs" c="var(--ink-quiet)" mt={6}>
            Version {entry.version} · {entry.order.join(' → ')}
          </Text>
        </div>
        <TextInput
          label="Name"
          maxLength={120}
          value={name}
          error={fieldProblem(make.error, 'name')}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <section>
          <Title order={3} size="h3" mb={4}>
            Machines
          </Title>
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
            {entry.roles.map(({ name: role, title, description, many }) => {
              const common = { label: title, description, data: machines, searchable: true, limit: 200 }
              return many ? (
                <MultiSelect
                  key={role}
                  {...common}
                  value={[...(roles[role] ?? [])]}
                  onChange={(ids) => setRoles({ ...roles, [role]: ids })}
                />
              ) : (
                <Select
                  key={role}
                  {...common}
                  value={roles[role]?.[0] ?? null}
                  onChange={(chosen) => setRoles({ ...roles, [role]: chosen === null ? [] : [chosen] })}
                />
              )
            })}
          </SimpleGrid>
        </section>
        {entry.sites.map(({ name: role, title, description }) => (
          <Select
            key={role}
            label={title}
            description={description}
            placeholder={azureSites.length === 0 ? 'No site in Azure yet' : 'Choose a site in Azure'}
            allowDeselect={false}
            data={azureSites.map(({ value, label }) => ({ value: value as string, label }))}
            value={sites[role] ?? null}
            onChange={(chosen) => chosen !== null && setSites({ ...sites, [role]: chosen })}
          />
        ))}
        {open.length > 0 && (
          <section>
            <Title order={3} size="h3" mb={4}>
              Parameters
            </Title>
            <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
              {open.map((parameter) => (
                <AskedField
                  key={parameter.name}
                  parameter={parameter}
                  onChange={(value) => setParameters({ ...parameters, [parameter.name]: value })}
                />
              ))}
            </SimpleGrid>
          </section>
        )}
        {secrets.length > 0 && (
          <Text size="sm">
            {secrets.map(({ description }) => description).join(', ')}: kept with the plan, under its
            parameters, once it is made.
          </Text>
        )}
        <ProblemAlert error={make.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={!ready} loading={make.isPending}>
            Make the plan
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
