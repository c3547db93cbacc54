import { Group } from '@mantine/core'
import { IconFileImport, IconListTree, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { roleOf } from '@understudy/contract/roles'
import { useMemo } from 'react'
import { api } from '../api/client.ts'
import { useWhyRefused } from '../api/session.ts'
import { clearNames } from '../features/plans/clear-names.ts'
import { ImportPlanDialog } from '../features/plans/ImportPlanDialog.tsx'
import { NewPlanDialog } from '../features/plans/NewPlanDialog.tsx'
import { PlanTable } from '../features/plans/PlanTable.tsx'
import { allProtections } from '../features/protections/load-all.ts'
import { ActionButton } from '../ui/ActionButton.tsx'
import { EmptyState } from '../ui/EmptyState.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'

export function PlansPage() {
  const { add } = useSearch({ from: '/signed-in/plans' })
  const navigate = useNavigate()
  const refused = useWhyRefused()(roleOf.plans.create)
  const { data: plans, error } = useQuery(api.plans.list.queryOptions())
  const protections = useQuery({ ...allProtections, enabled: add === 'new' })
  const names = useMemo(() => clearNames(protections.data), [protections.data])
  const open = (way: 'new' | 'import'): void => void navigate({ to: '/plans', search: { add: way } })
  const close = (): void => void navigate({ to: '/plans', search: {} })
  const goTo = (planId: string): void =>
    void navigate({ to: '/plans/$planId', params: { planId }, replace: true })
  const ways = (
    <Group gap="xs" justify="center">
      <ActionButton
        variant="default"
        reason={refused}
        leftSection={<IconFileImport size={16} />}
        onClick={() => open('import')}
      >
        Import
      </ActionButton>
      <ActionButton reason={refused} leftSection={<IconPlus size={16} />} onClick={() => open('new')}>
        New plan
      </ActionButton>
    </Group>
  )
  return (
    <>
      <PageHeader
        title="Plans"
        note="What comes up together, in which order, and what is done and checked in between."
        actions={ways}
      />
      <ProblemAlert error={error} />
      <Panel flush aria-label="Plans">
        {!plans && !error && <RowSkeletons rows={4} />}
        {plans && plans.items.length > 0 && <PlanTable plans={plans.items} />}
        {plans?.items.length === 0 && (
          <EmptyState icon={IconListTree} title="No plan yet" action={ways}>
            What fails in a disaster is an application, not a machine. Protect its machines first; then draw
            here which of them come up together and which wait, with scripts, checks and people in between.
            Test the plan every week, and on the bad day it is one click.
          </EmptyState>
        )}
      </Panel>
      {refused === null && add === 'new' && <NewPlanDialog names={names} onMade={goTo} onClose={close} />}
      {refused === null && add === 'import' && <ImportPlanDialog onMade={goTo} onClose={close} />}
    </>
  )
}
