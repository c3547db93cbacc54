// The whole API: one handler for every route of the contract, or it does not compile.
import { auditRoutes, sessionRoutes, setupRoutes, tokenRoutes, userRoutes } from './access-routes.ts'
import { agentRoutes } from './agent-routes.ts'
import { askerOf } from './asker.ts'
import { bandwidthRoutes } from './bandwidth-routes.ts'
import { type ApiDeps, os } from './context.ts'
import { alertRoutes, eventRoutes } from './event-routes.ts'
import { failoverRoutes, runRoutes } from './failover-routes.ts'
import { groupRoutes } from './group-routes.ts'
import { jobRoutes } from './job-routes.ts'
import { libraryRoutes } from './library-routes.ts'
import { machineRoutes } from './machine-routes.ts'
import { moverRoutes, overviewRoute } from './overview-routes.ts'
import { planRoutes, planRunRoutes } from './plan-routes.ts'
import { evidenceRoutes, planTestRoutes } from './plan-test-routes.ts'
import { policyRoutes } from './policy-routes.ts'
import { protectionRoutes } from './protection-routes.ts'
import { seedRoutes } from './seed-routes.ts'
import { siteDownRoutes, siteFailoverRoutes } from './site-failover-routes.ts'
import { siteRoutes } from './site-routes.ts'
import { displayLinkRoutes, wallRoutes } from './wall-routes.ts'

export const apiRouter = (deps: ApiDeps) =>
  os.router({
    setup: setupRoutes(deps),
    session: sessionRoutes(deps),
    overview: overviewRoute(deps),
    sites: { ...siteRoutes(deps), ...siteDownRoutes(deps) },
    bandwidth: bandwidthRoutes(deps),
    agents: agentRoutes(deps),
    machines: machineRoutes(deps),
    policies: policyRoutes(deps),
    groups: groupRoutes(deps),
    protections: { ...protectionRoutes(deps), ...failoverRoutes(deps), ...seedRoutes(deps) },
    runs: runRoutes(deps),
    jobs: jobRoutes(deps),
    plans: { ...planRoutes(deps), ...planTestRoutes(deps) },
    planRuns: { ...planRunRoutes(deps), ...evidenceRoutes(deps) },
    library: libraryRoutes(deps),
    siteFailovers: siteFailoverRoutes(deps),
    events: eventRoutes(deps),
    alerts: alertRoutes(deps),
    users: userRoutes(deps),
    tokens: tokenRoutes(deps),
    displayLinks: displayLinkRoutes(deps),
    wall: wallRoutes(deps),
    audit: auditRoutes(deps),
    movers: moverRoutes(deps),
    lab: {
      get: os.lab.get.handler(() => deps.lab.status()),
      create: os.lab.create.handler(({ context }) => {
        context.audit('lab', {})
        return deps.lab.create(askerOf(context))
      }),
      addAzure: os.lab.addAzure.handler(({ context }) => {
        context.audit('lab', {})
        return deps.lab.addAzure(askerOf(context))
      }),
      remove: os.lab.remove.handler(async ({ context }) => {
        context.audit('lab', {})
        await deps.lab.remove(askerOf(context))
        return {}
      }),
    },
  })
