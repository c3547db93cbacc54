import { Button, Group, Modal, SegmentedControl, Stack, Text, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { LibraryForm } from './LibraryForm.tsx'
import type { Names } from './plan-draft.ts'

type NewPlanDialogProps = {
  /** Of all protections: for the roles of a ready plan. */
  readonly names: Names
  readonly onMade: (planId: string) => void
  readonly onClose: () => void
}

const ways = [
  { value: 'empty', label: 'Empty' },
  { value: 'library', label: 'From the library' },
] as const
type Way = (typeof ways)[number]['value']

/** Drawn from nothing, or a ready one. */
export function NewPlanDialog({ names, onMade, onClose }: NewPlanDialogProps) {
  useFocusBack()
  const [way, setWay] = useState<Way>('empty')
  return (
    <Modal opened onClose={onClose} title="New plan" size={way === 'empty' ? 460 : 720}>
      <Stack gap="md">
        <SegmentedControl
          aria-label="How the plan begins"
          fullWidth
          data={[...ways]}
          value={way}
          onChange={(chosen) => setWay(ways.find(({ value }) => value === chosen)?.value ?? 'empty')}
        />
        {way === 'empty' ? (
          <EmptyPlanForm onMade={onMade} onClose={onClose} />
        ) : (
          <LibraryForm names={names} onMade={onMade} onClose={onClose} />
        )}
      </Stack>
    </Modal>
  )
}

/** Only its name: everything else is drawn. */
function EmptyPlanForm({ onMade, onClose }: Omit<NewPlanDialogProps, 'names'>) {
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const create = useMutation({
    mutationFn: () =>
      client.plans.create({
        name: name.trim(),
        priority: 5,
        targetRtoSeconds: 900,
        parameters: [],
        groups: [],
      }),
    onSuccess: ({ id }) => onMade(id),
    onSettled: () => queries.invalidateQueries({ queryKey: api.plans.key() }),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (name.trim() !== '' && !create.isPending) create.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <TextInput
          label="Name"
          description="The application that comes back with it, not its machines."
          placeholder="Web shop"
          maxLength={120}
          value={name}
          error={fieldProblem(create.error, 'name')}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
        <Text size="sm" c="var(--ink-quiet)">
          Next you draw what comes up first, what waits for it, and what is checked in between.
        </Text>
        <ProblemAlert error={create.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={name.trim() === ''} loading={create.isPending}>
            Draw it
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
