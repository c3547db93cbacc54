import { Tabs, Text } from '@mantine/core'
import { useSuspenseQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { roleOf } from '@understudy/contract/roles'
import { useRooms } from '../api/live.ts'
import { sessionQuery, useWhyRefused } from '../api/session.ts'
import { AuditLog } from '../features/access/AuditLog.tsx'
import { DisplayLinkList } from '../features/access/DisplayLinkList.tsx'
import { TokenList } from '../features/access/TokenList.tsx'
import { UserList } from '../features/access/UserList.tsx'
import { MoverList } from '../features/movers/MoverList.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'

const tabs = ['users', 'tokens', 'displays', 'audit', 'processes'] as const

export function SettingsPage() {
  const owner = useWhyRefused()(roleOf.users.list) === null
  const { tab = owner ? 'users' : 'processes' } = useSearch({ from: '/signed-in/settings' })
  const navigate = useNavigate()
  const { data: session } = useSuspenseQuery(sessionQuery)
  useRooms(['topic:access'])
  const open = (value: string | null): void => {
    const chosen = tabs.find((each) => each === value)
    if (chosen) void navigate({ to: '/settings', search: { tab: chosen }, replace: true })
  }
  const ownersOnly = (
    <Text size="sm" c="var(--ink-quiet)" p="md">
      Only an owner may see this.
    </Text>
  )
  return (
    <>
      <PageHeader
        title="Settings"
        note="People, tokens, screens on walls, what was done, and the processes that replicate."
      />
      <Panel flush aria-label="Settings">
        <Tabs value={tab} onChange={open} keepMounted={false}>
          <Tabs.List px={8}>
            <Tabs.Tab value="users">Users</Tabs.Tab>
            <Tabs.Tab value="tokens">API tokens</Tabs.Tab>
            <Tabs.Tab value="displays">Display links</Tabs.Tab>
            <Tabs.Tab value="audit">Audit log</Tabs.Tab>
            <Tabs.Tab value="processes">Processes</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="users">
            {owner ? <UserList me={session?.user.id ?? ''} /> : ownersOnly}
          </Tabs.Panel>
          <Tabs.Panel value="tokens">{owner ? <TokenList /> : ownersOnly}</Tabs.Panel>
          <Tabs.Panel value="displays">{owner ? <DisplayLinkList /> : ownersOnly}</Tabs.Panel>
          <Tabs.Panel value="audit">{owner ? <AuditLog /> : ownersOnly}</Tabs.Panel>
          <Tabs.Panel value="processes">
            <MoverList />
          </Tabs.Panel>
        </Tabs>
      </Panel>
    </>
  )
}
