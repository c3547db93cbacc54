import { Drawer } from '@mantine/core'
import { IconPlus, IconStack2 } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { roleOf } from '@understudy/contract/roles'
import { api } from '../api/client.ts'
import { useWhyRefused } from '../api/session.ts'
import { GroupForm } from '../features/groups/GroupForm.tsx'
import { GroupTable } from '../features/groups/GroupTable.tsx'
import { EmptyState } from '../ui/EmptyState.tsx'
import { LinkButton } from '../ui/LinkButton.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'

export function GroupsPage() {
  const { edit } = useSearch({ from: '/signed-in/groups' })
  const navigate = useNavigate()
  const refused = useWhyRefused()(roleOf.groups.create)
  const { data: groups, error } = useQuery(api.groups.list.queryOptions())
  const close = (): void => void navigate({ to: '/groups', search: {} })
  const edited = edit === undefined ? undefined : groups?.items.find((group) => group.id === edit)
  const add = (
    <LinkButton
      to="/groups"
      search={{ edit: 'new' }}
      reason={refused}
      leftSection={<IconPlus size={16} aria-hidden />}
    >
      New group
    </LinkButton>
  )
  return (
    <>
      <PageHeader
        title="Groups"
        note="Machines whose recovery points are taken at one instant, so that what they hold fits together."
        actions={add}
      />
      <ProblemAlert error={error} />
      <Panel flush aria-label="Groups">
        {!groups && !error && <RowSkeletons rows={4} />}
        {groups && groups.items.length > 0 && <GroupTable groups={groups.items} />}
        {groups?.items.length === 0 && (
          <EmptyState icon={IconStack2} title="No group yet" action={add}>
            A shop and its database that come back from two different moments do not fit together: orders
            point to nothing. Put both into a group, and every point covers both at one instant. A recovery
            plan boots them from it.
          </EmptyState>
        )}
      </Panel>
      <Drawer
        opened={edit === 'new' || edited !== undefined}
        onClose={close}
        position="right"
        size={640}
        title={edited ? `Edit ${edited.name}` : 'New group'}
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <GroupForm key={edit ?? ''} group={edited ?? null} onDone={close} />
      </Drawer>
    </>
  )
}
