import '@mantine/spotlight/styles.css'
import { Spotlight, spotlight } from '@mantine/spotlight'
import { IconActivity, IconBuilding, IconListTree, IconSearch, IconServer2 } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, useState } from 'react'
import { api } from '../api/client.ts'

export const openCommandSearch = (): void => spotlight.open()

const pages = [
  { id: 'page-protect', label: 'Protect machines', to: '/protect' },
  { id: 'page-register', label: 'Register a site', to: '/sites' },
  { id: 'page-plans', label: 'Plans', to: '/plans' },
  { id: 'page-jobs', label: 'Jobs', to: '/jobs' },
  { id: 'page-alerts', label: 'Alerts', to: '/alerts' },
  { id: 'page-groups', label: 'Groups', to: '/groups' },
  { id: 'page-policies', label: 'Policies', to: '/policies' },
] as const

/** Ctrl K: to any machine, site, plan or page by a few letters. */
export function CommandSearch() {
  const navigate = useNavigate()
  const [query, setQuery] = useState('')
  const search = query.trim()
  const machines = useQuery({
    ...api.machines.list.queryOptions({ input: { search, limit: 8 } }),
    enabled: search.length > 0,
    placeholderData: keepPreviousData,
  })
  const sites = useQuery(api.sites.list.queryOptions())
  // Only while somebody searches: their summaries cost the server a look at every machine.
  const plans = useQuery({ ...api.plans.list.queryOptions(), enabled: search.length > 0 })

  const actions = [
    ...(search.length > 0 ? (machines.data?.items ?? []) : []).map((machine) => ({
      id: machine.id,
      label: machine.name,
      description: `Machine · ${machine.siteName}`,
      leftSection: <IconServer2 size={18} stroke={1.6} />,
      onClick: () => void navigate({ to: '/machines/$machineId', params: { machineId: machine.id } }),
    })),
    ...(sites.data?.items ?? []).map((site) => ({
      id: site.id,
      label: site.name,
      description: `Site · ${site.platform}`,
      leftSection: <IconBuilding size={18} stroke={1.6} />,
      onClick: () => void navigate({ to: '/sites/$siteId', params: { siteId: site.id } }),
    })),
    ...(plans.data?.items ?? []).map((plan) => ({
      id: plan.id,
      label: plan.name,
      description: 'Recovery plan',
      leftSection: <IconListTree size={18} stroke={1.6} />,
      onClick: () => void navigate({ to: '/plans/$planId', params: { planId: plan.id } }),
    })),
    ...pages.map((page) => ({
      id: page.id,
      label: page.label,
      leftSection: <IconActivity size={18} stroke={1.6} />,
      onClick: () => void navigate({ to: page.to }),
    })),
  ]

  return (
    <Spotlight
      actions={actions}
      query={query}
      onQueryChange={setQuery}
      shortcut="mod + K"
      highlightQuery
      limit={12}
      nothingFound="Nothing with this name"
      searchProps={{
        leftSection: <IconSearch size={18} />,
        placeholder: 'Machine, site, plan or page',
        'aria-label': 'Search',
        onKeyDown: takeFirstWhenNoneIsSelected,
      }}
    />
  )
}

/** The library selects while one types, before our answers have arrived: then Enter means the first of them. */
function takeFirstWhenNoneIsSelected(event: KeyboardEvent<HTMLInputElement>): void {
  if (event.key !== 'Enter') return
  const found = event.currentTarget.closest('[role="dialog"]')
  if (found?.querySelector('[data-action][data-selected]')) return
  found?.querySelector<HTMLElement>('[data-action]')?.click()
}
