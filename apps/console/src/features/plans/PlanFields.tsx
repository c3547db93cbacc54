import { Checkbox, Group, NumberInput, Stack, TextInput } from '@mantine/core'
import { editPlan } from '@understudy/contract/plan-editing'
import { SpanInput } from '../../ui/SpanInput.tsx'
import type { Plan } from './plan-draft.ts'
import { useEditor } from './use-plan-editor.ts'

/** Name, priority and target of the plan itself. */
export function PlanFields({ plan, blocked }: { readonly plan: Plan; readonly blocked: boolean }) {
  const editor = useEditor()
  return (
    <Stack gap="sm" maw={560}>
      <TextInput
        label="Name"
        readOnly={blocked}
        value={plan.name}
        onChange={(event) => {
          const name = event.currentTarget.value
          editor.edit('rename the plan', (before) => editPlan(before, { name }), 'plan name')
        }}
      />
      <NumberInput
        label="Priority"
        description="1 to 9. When a site is down, plans with a higher one fail over first."
        min={1}
        max={9}
        clampBehavior="strict"
        allowDecimal={false}
        readOnly={blocked}
        value={plan.priority}
        onChange={(priority) => {
          if (typeof priority === 'number')
            editor.edit('change the priority', (before) => editPlan(before, { priority }), 'plan priority')
        }}
      />
      <Group align="flex-end" gap="md">
        <Checkbox
          label="Has a target for its recovery time"
          disabled={blocked}
          checked={plan.targetRtoSeconds !== null}
          mb={6}
          onChange={(event) => {
            const targetRtoSeconds = event.currentTarget.checked ? 900 : null
            editor.edit('change the target', (before) => editPlan(before, { targetRtoSeconds }))
          }}
        />
        {plan.targetRtoSeconds !== null && (
          <SpanInput
            label="Up again within"
            seconds={plan.targetRtoSeconds}
            onChange={(targetRtoSeconds) =>
              editor.edit(
                'change the target',
                (before) => editPlan(before, { targetRtoSeconds }),
                'plan target',
              )
            }
          />
        )}
      </Group>
    </Stack>
  )
}
