import { Drawer } from '@mantine/core'
import { IconActivity, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { api } from '../api/client.ts'
import { PolicyForm } from '../features/policies/PolicyForm.tsx'
import { PolicyTable } from '../features/policies/PolicyTable.tsx'
import { EmptyState } from '../ui/EmptyState.tsx'
import { LinkButton } from '../ui/LinkButton.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'

export function PoliciesPage() {
  const { edit } = useSearch({ from: '/signed-in/policies' })
  const navigate = useNavigate()
  const { data: policies, error } = useQuery(api.policies.list.queryOptions())
  const close = (): void => void navigate({ to: '/policies', search: {} })
  const edited = edit === undefined ? undefined : policies?.items.find((policy) => policy.id === edit)
  const add = (
    <LinkButton to="/policies" search={{ edit: 'new' }} leftSection={<IconPlus size={16} />}>
      New policy
    </LinkButton>
  )
  return (
    <>
      <PageHeader
        title="Policies"
        note="How often a point is taken, how old the newest may be, and how long they are kept."
        actions={add}
      />
      <ProblemAlert error={error} />
      <Panel flush aria-label="Policies">
        {!policies && !error && <RowSkeletons rows={4} />}
        {policies && policies.items.length > 0 && <PolicyTable policies={policies.items} />}
        {policies?.items.length === 0 && (
          <EmptyState icon={IconActivity} title="No policy yet" action={add}>
            Every protection follows a policy. Make one before you protect the first machine.
          </EmptyState>
        )}
      </Panel>
      <Drawer
        opened={edit === 'new' || edited !== undefined}
        onClose={close}
        position="right"
        size={640}
        title={edited ? `Edit ${edited.name}` : 'New policy'}
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <PolicyForm key={edit ?? ''} policy={edited ?? null} onDone={close} />
      </Drawer>
    </>
  )
}
