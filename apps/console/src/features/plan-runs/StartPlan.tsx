// A plan is run from here: one dialog for every kind of run.
import { Button, Group, Menu } from '@mantine/core'
import { IconChevronDown, IconPlayerPlay } from '@tabler/icons-react'
import { roleOf } from '@understudy/contract/roles'
import { lazy, Suspense, useState } from 'react'
import { useWhyRefused } from '../../api/session.ts'
import { keysOf } from '../../lib/keys-of.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { type StartKind, wordsOfStart } from './start-draft.ts'

// Its fields are for whoever starts a run, not for everybody who looks at a page.
const StartDialog = lazy(async () => {
  const { StartDialog: loaded } = await import('./StartDialog.tsx')
  return { default: loaded }
})

type StartPlanProps = {
  readonly planId: string
  readonly name: string
  /** Why not now, beyond the rights; left out or null: nothing. */
  readonly blocked?: string | null
  /** In a row of a table: one button with a menu. */
  readonly compact?: boolean
}

const kinds = keysOf(wordsOfStart)

export function StartPlan({ planId, name, blocked = null, compact = false }: StartPlanProps) {
  const [kind, setKind] = useState<StartKind | null>(null)
  const refused = useWhyRefused()(roleOf.plans.start) ?? blocked
  return (
    <>
      {compact ? (
        <CompactStart name={name} reason={refused} onChoose={setKind} />
      ) : (
        <Group gap="xs" role="group" aria-label="Run the plan">
          {kinds.map((each) => (
            <ActionButton
              key={each}
              reason={refused}
              onClick={() => setKind(each)}
              {...(each === 'unplanned'
                ? { color: 'red', variant: 'outline' }
                : { variant: each === 'test' ? 'filled' : 'default' })}
            >
              {wordsOfStart[each].button}
            </ActionButton>
          ))}
        </Group>
      )}
      {kind && (
        <Suspense fallback={null}>
          <StartDialog planId={planId} name={name} kind={kind} onClose={() => setKind(null)} />
        </Suspense>
      )}
    </>
  )
}

type CompactStartProps = {
  readonly name: string
  readonly reason: string | null
  readonly onChoose: (kind: StartKind) => void
}

function CompactStart({ name, reason, onChoose }: CompactStartProps) {
  if (reason !== null)
    return (
      <ActionButton reason={reason} variant="default" size="compact-xs" onClick={() => {}}>
        Run
      </ActionButton>
    )
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button
          variant="default"
          size="compact-xs"
          aria-label={`Run ${name}`}
          leftSection={<IconPlayerPlay size={13} aria-hidden />}
          rightSection={<IconChevronDown size={13} aria-hidden />}
        >
          Run
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {kinds.map((kind) => (
          <Menu.Item
            key={kind}
            onClick={() => onChoose(kind)}
            {...(kind === 'unplanned' ? { c: 'var(--bad)' } : {})}
          >
            {wordsOfStart[kind].button}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
