import { Button, Group, Menu, Text } from '@mantine/core'
import { IconChevronDown } from '@tabler/icons-react'
import type { AllowedAction, Protection } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { roleOfAction } from '@understudy/contract/roles'
import { type ReactNode, useState } from 'react'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ActionDialog, type AskedAction } from './ActionDialog.tsx'
import { arrangeActions } from './action-plan.ts'

type ActionBarProps = {
  readonly protection: Protection
  readonly words: Readonly<Record<AllowedAction['action'], string>>
  readonly point: RecoveryPoint | null
  readonly flow: ReactNode
  readonly onEdit: () => void
  /** Offered where they are explained, further down the page. */
  readonly elsewhere: readonly AllowedAction['action'][]
}

/** Exactly the actions that the server named; the blocked ones with their reason. */
export function ActionBar({ protection, words, point, flow, onEdit, elsewhere }: ActionBarProps) {
  const [asked, setAsked] = useState<AskedAction | null>(null)
  const whyRefused = useWhyRefused()
  const { buttons, more } = arrangeActions(
    protection.actions.filter(({ action }) => !elsewhere.includes(action)),
  )
  const reasonOf = ({ action, allowed, reason }: AllowedAction): string | null =>
    whyRefused(roleOfAction[action]) ?? (allowed ? null : (reason ?? 'Not possible now'))
  const start = (action: AllowedAction['action']): void => (action === 'edit' ? onEdit() : setAsked(action))
  return (
    <>
      <Group gap="xs" role="group" aria-label="Actions">
        {buttons.map((each, index) => (
          <ActionButton
            key={each.action}
            reason={reasonOf(each)}
            onClick={() => start(each.action)}
            {...(each.action === 'unplanned-failover'
              ? { color: 'red', variant: 'outline' }
              : { variant: index === 0 ? 'filled' : 'default' })}
          >
            {words[each.action]}
          </ActionButton>
        ))}
        <Menu position="bottom-end" width={300}>
          <Menu.Target>
            <Button variant="default" rightSection={<IconChevronDown size={15} aria-hidden />}>
              More
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {more.map((each) => {
              const reason = reasonOf(each)
              return (
                <Menu.Item
                  key={each.action}
                  // Blocked, but still to be reached and read by keyboard.
                  aria-disabled={reason !== null}
                  closeMenuOnClick={reason === null}
                  onClick={() => reason === null && start(each.action)}
                >
                  <Text
                    size="sm"
                    c={
                      reason !== null ? 'var(--ink-quiet)' : each.action === 'end' ? 'var(--bad)' : 'inherit'
                    }
                    span
                  >
                    {words[each.action]}
                  </Text>
                  {reason !== null && (
                    <Text size="xs" c="var(--ink-quiet)" component="div">
                      {reason}
                    </Text>
                  )}
                </Menu.Item>
              )
            })}
          </Menu.Dropdown>
        </Menu>
      </Group>
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
    </>
  )
}
