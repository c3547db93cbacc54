// Looks a thing up by its id, or refuses in words that fit.
import { Refusal } from '@understudy/base/errors'
import type { Agent, AgentId } from '@understudy/domain/agents/agent'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { Job, JobId } from '@understudy/domain/jobs/job'
import type { Machine, MachineId } from '@understudy/domain/machines/machine'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { Policy, PolicyId } from '@understudy/domain/protection/policy'
import type { GroupId, Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { PlanRun, PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import type { PlanVersion } from '@understudy/engine/ports/plan-stores'
import type { ApiDeps } from './context.ts'

const found = <Thing>(thing: Thing | null, noun: string, id: string): Thing => {
  if (thing !== null) return thing
  throw new Refusal({
    code: `${noun.replaceAll(' ', '-')}/not-found`,
    message: `There is no ${noun} with the id ${id}`,
    remedy: 'It may have been removed meanwhile: read the list again.',
  })
}

export const findSite = async (deps: ApiDeps, id: string): Promise<Site> =>
  found(await deps.stores.sites.find(id as SiteId), 'site', id)
export const findAgent = async (deps: ApiDeps, id: string): Promise<Agent> =>
  found(await deps.stores.agents.find(id as AgentId), 'agent', id)
export const findMachine = async (deps: ApiDeps, id: string): Promise<Machine> =>
  found(await deps.stores.machines.find(id as MachineId), 'machine', id)
export const findPolicy = async (deps: ApiDeps, id: string): Promise<Policy> =>
  found(await deps.stores.policies.find(id as PolicyId), 'policy', id)
export const findGroup = async (deps: ApiDeps, id: string): Promise<ConsistencyGroup> =>
  found(await deps.stores.groups.find(id as GroupId), 'group', id)
export const findProtection = async (deps: ApiDeps, id: string): Promise<Protection> =>
  found(await deps.stores.protections.find(id as ProtectionId), 'protection', id)
export const findRun = async (deps: ApiDeps, id: string): Promise<Run> =>
  found(await deps.stores.runs.find(id as RunId), 'run', id)
export const findJob = async (deps: ApiDeps, id: string): Promise<Job> =>
  found(await deps.stores.jobs.find(id as JobId), 'job', id)
export const findPlan = async (deps: ApiDeps, id: string): Promise<PlanVersion> =>
  found(await deps.stores.plans.find(id as PlanId), 'recovery plan', id)
export const findPlanRun = async (deps: ApiDeps, id: string): Promise<PlanRun> =>
  found(await deps.stores.planRuns.find(id as PlanRunId), 'run of a plan', id)
