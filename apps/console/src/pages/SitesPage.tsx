import { IconBuilding, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { roleOf } from '@understudy/contract/roles'
import { api } from '../api/client.ts'
import { useWhyRefused } from '../api/session.ts'
import { AzureOnThisComputer } from '../features/lab/AzureOnThisComputer.tsx'
import { BandwidthPanel } from '../features/sites/BandwidthPanel.tsx'
import { RegisterSite } from '../features/sites/RegisterSite.tsx'
import { SiteTable } from '../features/sites/SiteTable.tsx'
import { ActionButton } from '../ui/ActionButton.tsx'
import { EmptyState } from '../ui/EmptyState.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'

export function SitesPage() {
  const { register = false } = useSearch({ from: '/signed-in/sites' })
  const navigate = useNavigate()
  const refused = useWhyRefused()(roleOf.sites.create)
  const { data: sites, error } = useQuery(api.sites.list.queryOptions())
  const openForm = (
    <ActionButton
      reason={refused}
      leftSection={<IconPlus size={16} />}
      onClick={() => void navigate({ to: '/sites', search: { register: true } })}
    >
      Register a site
    </ActionButton>
  )
  return (
    <>
      <PageHeader
        title="Sites"
        note="The places where machines run, and where their replicas are kept."
        actions={openForm}
      />
      <ProblemAlert error={error} />
      <Panel flush aria-label="Sites">
        {!sites && !error && <RowSkeletons rows={4} />}
        {sites && sites.items.length > 0 && <SiteTable sites={sites.items} />}
        {sites?.items.length === 0 && (
          <EmptyState icon={IconBuilding} title="No site yet" action={openForm}>
            Register two: the one where your machines run, and the one where they shall run on the bad day.
            Registering only reads; nothing at a site is changed before you protect a machine.
          </EmptyState>
        )}
      </Panel>
      {sites && sites.items.length > 0 && <BandwidthPanel sites={sites.items} />}
      <RegisterSite
        opened={register && refused === null}
        onClose={() => void navigate({ to: '/sites', search: {} })}
        azureOffer={
          <AzureOnThisComputer
            onAdded={(siteId) => void navigate({ to: '/sites/$siteId', params: { siteId } })}
          />
        }
        onRegistered={(siteId) => void navigate({ to: '/sites/$siteId', params: { siteId } })}
      />
    </>
  )
}
