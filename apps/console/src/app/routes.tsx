// Every screen by its address. A page is loaded when it is first opened.
import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router'
import { client, whenSignedOut } from '../api/client.ts'
import { displaySecret } from '../api/display-link.ts'
import { sessionQuery } from '../api/session.ts'
import { flag, number, oneOf, searchParams, text } from '../lib/search-params.ts'
import { NoSuchPage } from '../ui/NoSuchPage.tsx'
import { RouteFailure } from '../ui/RouteFailure.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'
import { queries } from './queries.ts'
import { Shell } from './Shell.tsx'
import { endSession } from './session-end.ts'

type Context = { readonly queries: QueryClient }

const root = createRootRouteWithContext<Context>()({ component: Outlet, errorComponent: RouteFailure })

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  validateSearch: searchParams({ token: text }),
  component: lazyRouteComponent(() => import('../pages/SetupPage.tsx'), 'SetupPage'),
})
const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: searchParams({ from: text }),
  component: lazyRouteComponent(() => import('../pages/SignInPage.tsx'), 'SignInPage'),
})

async function requireSession({
  context,
  location,
}: {
  readonly context: Context
  readonly location: { readonly href: string }
}): Promise<void> {
  const session = await context.queries.ensureQueryData(sessionQuery)
  if (session) return
  const { needed } = await client.setup.status()
  if (needed) throw redirect({ to: '/setup' })
  throw redirect({ to: '/sign-in', search: { from: location.href } })
}

const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  component: Shell,
  beforeLoad: requireSession,
})
const wallFrame = createRoute({
  getParentRoute: () => root,
  id: 'wall-frame',
  component: lazyRouteComponent(() => import('./WallShell.tsx'), 'WallShell'),
  // The server looks at the link; a session is not needed then, nor used.
  beforeLoad: (facts) => (displaySecret() === null ? requireSession(facts) : undefined),
})

const overview = createRoute({
  getParentRoute: () => signedIn,
  path: '/',
  component: lazyRouteComponent(() => import('../pages/OverviewPage.tsx'), 'OverviewPage'),
})
const sites = createRoute({
  getParentRoute: () => signedIn,
  path: '/sites',
  validateSearch: searchParams({ register: flag }),
  component: lazyRouteComponent(() => import('../pages/SitesPage.tsx'), 'SitesPage'),
})
const site = createRoute({
  getParentRoute: () => signedIn,
  path: '/sites/$siteId',
  validateSearch: searchParams({ tab: oneOf('machines', 'replicas', 'networks', 'agents', 'settings') }),
  component: lazyRouteComponent(() => import('../pages/SitePage.tsx'), 'SitePage'),
})
const machines = createRoute({
  getParentRoute: () => signedIn,
  path: '/machines',
  validateSearch: searchParams({
    search: text,
    siteId: text,
    groupId: text,
    health: text,
    state: text,
    show: oneOf('all', 'protected', 'unprotected'),
    sort: text,
  }),
  component: lazyRouteComponent(() => import('../pages/MachinesPage.tsx'), 'MachinesPage'),
})
const machine = createRoute({
  getParentRoute: () => signedIn,
  path: '/machines/$machineId',
  validateSearch: searchParams({
    tab: oneOf('overview', 'points', 'disks', 'network', 'boot', 'runs', 'jobs', 'events'),
    point: text,
  }),
  component: lazyRouteComponent(() => import('../pages/MachinePage.tsx'), 'MachinePage'),
})
const protect = createRoute({
  getParentRoute: () => signedIn,
  path: '/protect',
  validateSearch: searchParams({
    machines: text,
    sourceSiteId: text,
    targetSiteId: text,
  }),
  component: lazyRouteComponent(() => import('../pages/ProtectPage.tsx'), 'ProtectPage'),
})
const plans = createRoute({
  getParentRoute: () => signedIn,
  path: '/plans',
  validateSearch: searchParams({ add: oneOf('new', 'import') }),
  component: lazyRouteComponent(() => import('../pages/PlansPage.tsx'), 'PlansPage'),
})
const plan = createRoute({
  getParentRoute: () => signedIn,
  path: '/plans/$planId',
  validateSearch: searchParams({
    tab: oneOf('plan', 'timetable', 'parameters', 'settings', 'versions', 'tests', 'runs'),
    item: text,
    from: text,
    to: text,
    kind: oneOf('test', 'planned', 'unplanned', 'fail-back'),
  }),
  component: lazyRouteComponent(() => import('../pages/PlanPage.tsx'), 'PlanPage'),
})
const jobs = createRoute({
  getParentRoute: () => signedIn,
  path: '/jobs',
  validateSearch: searchParams({ state: text, kind: text }),
  component: lazyRouteComponent(() => import('../pages/JobsPage.tsx'), 'JobsPage'),
})
const job = createRoute({
  getParentRoute: () => signedIn,
  path: '/jobs/$jobId',
  component: lazyRouteComponent(() => import('../pages/JobPage.tsx'), 'JobPage'),
})
const alerts = createRoute({
  getParentRoute: () => signedIn,
  path: '/alerts',
  validateSearch: searchParams({ show: oneOf('open', 'all') }),
  component: lazyRouteComponent(() => import('../pages/AlertsPage.tsx'), 'AlertsPage'),
})
const events = createRoute({
  getParentRoute: () => signedIn,
  path: '/events',
  validateSearch: searchParams({ severity: oneOf('info', 'warning', 'critical') }),
  component: lazyRouteComponent(() => import('../pages/EventsPage.tsx'), 'EventsPage'),
})
const policies = createRoute({
  getParentRoute: () => signedIn,
  path: '/policies',
  validateSearch: searchParams({ edit: text }),
  component: lazyRouteComponent(() => import('../pages/PoliciesPage.tsx'), 'PoliciesPage'),
})
const groups = createRoute({
  getParentRoute: () => signedIn,
  path: '/groups',
  validateSearch: searchParams({ edit: text }),
  component: lazyRouteComponent(() => import('../pages/GroupsPage.tsx'), 'GroupsPage'),
})
const settings = createRoute({
  getParentRoute: () => signedIn,
  path: '/settings',
  validateSearch: searchParams({ tab: oneOf('users', 'tokens', 'displays', 'audit', 'processes') }),
  component: lazyRouteComponent(() => import('../pages/SettingsPage.tsx'), 'SettingsPage'),
})

const planRuns = createRoute({
  getParentRoute: () => signedIn,
  path: '/plans/$planId/runs',
  component: lazyRouteComponent(() => import('../pages/PlanRunsPage.tsx'), 'PlanRunsPage'),
})
const planRun = createRoute({
  getParentRoute: () => signedIn,
  path: '/plans/$planId/runs/$runId',
  validateSearch: searchParams({ item: text, rows: oneOf('all') }),
  component: lazyRouteComponent(() => import('../pages/PlanRunPage.tsx'), 'PlanRunPage'),
})
const planRunEdit = createRoute({
  getParentRoute: () => signedIn,
  path: '/plans/$planId/runs/$runId/edit',
  validateSearch: searchParams({ item: text }),
  component: lazyRouteComponent(() => import('../pages/PlanRunEditPage.tsx'), 'PlanRunEditPage'),
})
const siteFailover = createRoute({
  getParentRoute: () => signedIn,
  path: '/site-failovers/$failoverId',
  component: lazyRouteComponent(() => import('../pages/SiteFailoverPage.tsx'), 'SiteFailoverPage'),
})

const wall = createRoute({
  getParentRoute: () => wallFrame,
  path: '/wall',
  validateSearch: searchParams({ cycle: number }),
  component: lazyRouteComponent(() => import('../pages/WallPage.tsx'), 'FirstWallPage'),
})
const wallLayout = createRoute({
  getParentRoute: () => wallFrame,
  path: '/wall/$layout',
  validateSearch: searchParams({ cycle: number }),
  component: lazyRouteComponent(() => import('../pages/WallLayoutPage.tsx'), 'WallLayoutPage'),
})

const tree = root.addChildren([
  setup,
  signIn,
  wallFrame.addChildren([wall, wallLayout]),
  signedIn.addChildren([
    overview,
    sites,
    site,
    machines,
    machine,
    protect,
    plans,
    plan,
    jobs,
    job,
    alerts,
    events,
    groups,
    policies,
    settings,
    planRuns,
    planRun,
    planRunEdit,
    siteFailover,
  ]),
])

export const router = createRouter({
  routeTree: tree,
  context: { queries },
  defaultPreload: 'intent',
  defaultPendingComponent: RoutePending,
  defaultPendingMs: 150,
  defaultErrorComponent: RouteFailure,
  defaultNotFoundComponent: NoSuchPage,
  scrollRestoration: true,
})

whenSignedOut(() => endSession(queries.getQueryData(sessionQuery.queryKey)?.user.id ?? null))

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
