import { Button, Group, List, Modal, ScrollArea, Stack, Text, TextInput } from '@mantine/core'
import { diffPlans } from '@understudy/contract/plan-editing'
import { type FormEvent, useMemo, useState } from 'react'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import type { Names, Plan } from './plan-draft.ts'
import { useAllNames } from './use-sites.ts'

type SaveDialogProps = {
  readonly plan: Plan
  readonly base: { readonly plan: Plan; readonly version: number }
  readonly names: Names
  readonly pending: boolean
  readonly error: unknown
  readonly onSave: (comment: string) => void
  readonly onClose: () => void
}

/** What will differ from the version before, and a word on why. */
export function SaveDialog({ plan, base, names, pending, error, onSave, onClose }: SaveDialogProps) {
  useFocusBack()
  const [comment, setComment] = useState('')
  const allNames = useAllNames(names)
  const differences = useMemo(() => diffPlans(base.plan, plan, allNames), [base.plan, plan, allNames])
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (!pending) onSave(comment.trim())
  }
  return (
    <Modal opened onClose={onClose} title={`Save ${plan.name} as version ${base.version + 1}`} size={560}>
      <form onSubmit={submit}>
        <Stack gap="md">
          <Differences
            lines={differences.map(({ words }) => words)}
            empty="Nothing differs from what is saved."
          />
          <TextInput
            label="What for"
            description="For whoever reads the list of versions."
            placeholder="The new database comes up first"
            maxLength={500}
            value={comment}
            onChange={(event) => setComment(event.currentTarget.value)}
            data-autofocus
          />
          <ProblemAlert error={error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={pending}>
              Save
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

type DifferencesProps = { readonly lines: readonly string[]; readonly empty: string; readonly label?: string }

export function Differences({ lines, empty, label = 'What differs' }: DifferencesProps) {
  if (lines.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)">
        {empty}
      </Text>
    )
  return (
    <ScrollArea.Autosize
      mah={280}
      type="auto"
      viewportProps={{ tabIndex: 0, role: 'group', 'aria-label': label }}
    >
      <List size="sm" spacing={3} pr="sm">
        {[...new Set(lines)].map((words) => (
          <List.Item key={words} style={{ overflowWrap: 'anywhere' }}>
            {words.slice(0, 1).toUpperCase() + words.slice(1)}
          </List.Item>
        ))}
      </List>
    </ScrollArea.Autosize>
  )
}
