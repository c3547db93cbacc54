// The frame of every page: where you are, what is wrong, whether what you see is live, and who you are.
import {
  ActionIcon,
  AppShell,
  Badge,
  Box,
  Burger,
  Group,
  Menu,
  NavLink,
  ScrollArea,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core'
import { useDidUpdate, useDisclosure } from '@mantine/hooks'
import { Notifications } from '@mantine/notifications'
import {
  IconActivity,
  IconAlertTriangle,
  IconBook2,
  IconBuilding,
  IconKey,
  IconListCheck,
  IconListTree,
  IconLogout,
  IconMoon,
  IconSearch,
  IconServer2,
  IconSettings,
  IconSmartHome,
  IconStack2,
  IconSun,
  IconTimeline,
  IconUserCircle,
} from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { Link, Outlet, useLocation } from '@tanstack/react-router'
import { lazy, Suspense, useEffect } from 'react'
import { api, client } from '../api/client.ts'
import { endLive, startLive, useRooms } from '../api/live.ts'
import { sessionQuery } from '../api/session.ts'
import { CommonTimeLineContext } from '../features/plan-runs/common-time-line.ts'
import { RoutePending } from '../ui/RoutePending.tsx'
import { CommandSearch, openCommandSearch } from './CommandSearch.tsx'
import { ConnectionBanner } from './ConnectionBanner.tsx'
import { leave } from './leave.ts'
import { Mark } from './Mark.tsx'
import { useSignInAgain } from './session-end.ts'

// Drawn only where an instant for a whole plan is chosen.
const CommonTimeLine = lazy(async () => {
  const { CommonTimeLine: loaded } = await import('../features/recovery-points/CommonTimeLine.tsx')
  return { default: loaded }
})

const SignInAgain = lazy(async () => {
  const { SignInAgain: loaded } = await import('./SignInAgain.tsx')
  return { default: loaded }
})

// Fields for passwords are for who opens them, not for every page.
const ChangePassword = lazy(async () => {
  const { ChangePassword: loaded } = await import('../features/access/NewPassword.tsx')
  return { default: loaded }
})

const places = [
  { to: '/', label: 'Overview', icon: IconSmartHome },
  { to: '/machines', label: 'Machines', icon: IconServer2 },
  { to: '/sites', label: 'Sites', icon: IconBuilding },
  { to: '/plans', label: 'Plans', icon: IconListTree },
  { to: '/jobs', label: 'Jobs', icon: IconListCheck },
  { to: '/alerts', label: 'Alerts', icon: IconAlertTriangle },
  { to: '/events', label: 'Events', icon: IconTimeline },
  { to: '/groups', label: 'Groups', icon: IconStack2 },
  { to: '/policies', label: 'Policies', icon: IconActivity },
  { to: '/settings', label: 'Settings', icon: IconSettings },
] as const

export function Shell() {
  const queries = useQueryClient()
  const [opened, { toggle, close }] = useDisclosure()
  const { pathname } = useLocation()
  const asksToSignIn = useSignInAgain()
  useEffect(() => startLive(queries), [queries])
  // A new page: whoever reads by ear or moves by keyboard begins at its content.
  useDidUpdate(() => document.getElementById('main')?.focus({ preventScroll: true }), [pathname])
  useRooms([
    'topic:sites',
    'topic:machines',
    'topic:protections',
    'topic:jobs',
    'topic:alerts',
    'topic:runs',
    'topic:policies',
    'topic:groups',
    'topic:plans',
    'topic:plan-runs',
    'topic:events',
  ])

  return (
    <AppShell
      layout="alt"
      header={{ height: 52 }}
      navbar={{ width: 212, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding={0}
      styles={{ main: { background: 'var(--page)' } }}
    >
      {asksToSignIn && (
        <Suspense fallback={null}>
          <SignInAgain />
        </Suspense>
      )}
      <a className="skip-link" href="#main">
        Skip to the content
      </a>
      <AppShell.Header bg="var(--panel)" style={{ borderColor: 'var(--line)' }}>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <SearchButton />
          </Group>
          <Group gap={6} wrap="nowrap">
            <AlertCount />
            <SchemeSwitch />
            <UserMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar bg="var(--panel-quiet)" style={{ borderColor: 'var(--line)' }} aria-label="Main">
        <Group h={52} px="md" gap={10} justify="space-between">
          <Group gap={10}>
            <Mark size={24} />
            <Text fw={650} fz={15}>
              Understudy
            </Text>
          </Group>
          <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Close menu" />
        </Group>
        <ScrollArea flex={1} px={8} py={4}>
          {places.map(({ to, label, icon: Icon }) => {
            const active = to === '/' ? pathname === '/' : pathname.startsWith(to)
            return (
              <NavLink
                key={to}
                component={Link}
                to={to}
                label={label}
                leftSection={<Icon size={17} stroke={1.7} aria-hidden />}
                active={active}
                aria-current={active ? 'page' : undefined}
                onClick={close}
                py={7}
                mb={2}
                style={{ borderRadius: 7 }}
              />
            )
          })}
        </ScrollArea>
        <Box px={8} py={8}>
          <NavLink
            component="a"
            href="/api/docs"
            label="API"
            leftSection={<IconBook2 size={17} stroke={1.7} aria-hidden />}
            py={7}
            style={{ borderRadius: 7 }}
          />
        </Box>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <ConnectionBanner />
        <Box p={{ base: 'sm', sm: 'lg' }} maw={2400} mx="auto">
          <Suspense fallback={<RoutePending />}>
            <CommonTimeLineContext value={CommonTimeLine}>
              <Outlet />
            </CommonTimeLineContext>
          </Suspense>
        </Box>
      </AppShell.Main>
      <CommandSearch />
      {/* Inside the router: toasts lead to their jobs. */}
      <Notifications position="bottom-right" autoClose={6000} />
    </AppShell>
  )
}

function SearchButton() {
  return (
    <Box
      component="button"
      type="button"
      onClick={openCommandSearch}
      px={10}
      h={32}
      style={{
        border: '1px solid var(--line)',
        borderRadius: 7,
        background: 'var(--panel-quiet)',
        color: 'var(--ink-quiet)',
        cursor: 'pointer',
        display: 'flex',
        alignItems: 'center',
        gap: 8,
      }}
      w={{ base: 140, sm: 280 }}
    >
      <IconSearch size={15} aria-hidden />
      <Text size="sm" flex={1} ta="left" span>
        Search
      </Text>
      <Text size="xs" span visibleFrom="sm">
        Ctrl K
      </Text>
    </Box>
  )
}

function AlertCount() {
  const { data } = useQuery(api.alerts.list.queryOptions({ input: { open: 'true', limit: 100 } }))
  const count = data?.items.length ?? 0
  if (count === 0) return null
  const critical = data?.items.some((alert) => alert.severity === 'critical') ?? false
  return (
    <Badge
      component={Link}
      to="/alerts"
      color={critical ? 'red' : 'yellow'}
      size="lg"
      leftSection={<IconAlertTriangle size={13} aria-hidden />}
      style={{ cursor: 'pointer', flexShrink: 0 }}
      aria-label={`${count} open ${count === 1 ? 'alert' : 'alerts'}`}
    >
      {count}
      <Text span inherit visibleFrom="sm">
        {' '}
        open {count === 1 ? 'alert' : 'alerts'}
      </Text>
    </Badge>
  )
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme()
  const scheme = useComputedColorScheme('dark')
  const other = scheme === 'dark' ? 'light' : 'dark'
  return (
    <Tooltip label={`Use the ${other} theme`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        onClick={() => setColorScheme(other)}
        aria-label={`Use the ${other} theme`}
      >
        {scheme === 'dark' ? <IconSun size={18} stroke={1.7} /> : <IconMoon size={18} stroke={1.7} />}
      </ActionIcon>
    </Tooltip>
  )
}

function UserMenu() {
  const queries = useQueryClient()
  const { data: session } = useSuspenseQuery(sessionQuery)
  const [changing, { open: change, close: stopChanging }] = useDisclosure()
  const signOut = useMutation({
    mutationFn: async () => {
      await endLive(queries)
      await client.session.signOut({})
    },
    onSettled: () => leave('signed-out'),
  })
  return (
    <>
      <Menu position="bottom-end" width={220}>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Your account">
            <IconUserCircle size={20} stroke={1.7} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            Signed in as {session?.user.name} ({session?.user.role})
          </Menu.Label>
          <Menu.Item leftSection={<IconKey size={15} />} onClick={change}>
            Change password
          </Menu.Item>
          <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => signOut.mutate()}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {changing && session && (
        <Suspense fallback={null}>
          <ChangePassword name={session.user.name} onClose={stopChanging} />
        </Suspense>
      )}
    </>
  )
}
