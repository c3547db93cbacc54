import { Group } from '@mantine/core'
import type { Protection, ProtectionAction } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { roleOfAction } from '@understudy/contract/roles'
import { type ReactNode, useState } from 'react'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ActionDialog, type AskedAction } from './ActionDialog.tsx'

type DecisionButtonsProps = {
  readonly protection: Protection
  readonly actions: readonly AskedAction[]
  readonly words: Readonly<Record<ProtectionAction, string>>
  readonly point: RecoveryPoint | null
  readonly flow: ReactNode
  /** The first one is what one would do. Left out: it is. */
  readonly leads?: boolean
}

/** What has to be decided about a run that is up, right where it is shown. */
export function DecisionButtons(props: DecisionButtonsProps) {
  const { protection, actions, words, point, flow, leads = true } = props
  const whyRefused = useWhyRefused()
  const [asked, setAsked] = useState<AskedAction | null>(null)
  const reasonOf = (action: ProtectionAction): string | null => {
    const verdict = protection.actions.find((each) => each.action === action)
    return (
      whyRefused(roleOfAction[action]) ?? (verdict?.allowed ? null : (verdict?.reason ?? 'Not possible now'))
    )
  }
  return (
    <Group gap="xs">
      {actions.map((action, index) => (
        <ActionButton
          key={action}
          size="sm"
          variant={index === 0 && leads ? 'filled' : 'default'}
          reason={reasonOf(action)}
          onClick={() => setAsked(action)}
        >
          {words[action]}
        </ActionButton>
      ))}
      {asked && (
        <ActionDialog
          key={asked}
          protection={protection}
          action={asked}
          point={point}
          flow={flow}
          onClose={() => setAsked(null)}
        />
      )}
    </Group>
  )
}
