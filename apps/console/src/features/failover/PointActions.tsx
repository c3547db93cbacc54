import type { AllowedAction, Protection } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { roleOfAction } from '@understudy/contract/roles'
import { type ReactNode, useState } from 'react'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ActionDialog, type AskedAction } from './ActionDialog.tsx'

type PointActionsProps = {
  readonly protection: Protection
  readonly point: RecoveryPoint
  readonly flow: ReactNode
}

/** From this very point: test it, fail over to it, or boot it instead of the one that is up. */
export function PointActions({ protection, point, flow }: PointActionsProps) {
  const whyRefused = useWhyRefused()
  const [asked, setAsked] = useState<AskedAction | null>(null)
  const reasonOf = (action: AllowedAction['action']): string | null => {
    const verdict = protection.actions.find((each) => each.action === action)
    return (
      whyRefused(roleOfAction[action]) ?? (verdict?.allowed ? null : (verdict?.reason ?? 'Not possible now'))
    )
  }
  const undecided = protection.state === 'failedOver'
  return (
    <>
      <ActionButton reason={reasonOf('test-failover')} onClick={() => setAsked('test-failover')}>
        Test failover from this point
      </ActionButton>
      <ActionButton
        reason={reasonOf(undecided ? 'change-point' : 'unplanned-failover')}
        variant="outline"
        color="red"
        onClick={() => setAsked(undecided ? 'change-point' : 'unplanned-failover')}
      >
        {undecided ? 'Boot this point instead' : 'Fail over to this point'}
      </ActionButton>
      {asked && (
        <ActionDialog
          key={`${asked} ${point.id}`}
          protection={protection}
          action={asked}
          point={point}
          flow={flow}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  )
}
