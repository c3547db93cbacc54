import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'

type NewPlanDialogProps = { readonly onMade: (planId: string) => void; readonly onClose: () => void }

/** Only its name: everything else is drawn. */
export function NewPlanDialog({ onMade, onClose }: NewPlanDialogProps) {
  useFocusBack()
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
    <Modal opened onClose={onClose} title="New plan" size={460}>
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
    </Modal>
  )
}
