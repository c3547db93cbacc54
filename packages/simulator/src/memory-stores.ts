// The control plane's memory without a database: the model that the PostgreSQL stores are judged by.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import type { BootCheck } from '@understudy/domain/boot-check/boot-check'
import type { Alert, Event, Severity } from '@understudy/domain/events/event'
import type { Run } from '@understudy/domain/failover/failover'
import { activeJobStates, exclusiveKeyOf, type Job } from '@understudy/domain/jobs/job'
import type { DiscoveredMachine, Machine, MachineId } from '@understudy/domain/machines/machine'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { Policy } from '@understudy/domain/protection/policy'
import {
  type GroupId,
  type Protection,
  type ProtectionId,
  replicatingStates,
} from '@understudy/domain/protection/protection'
import type { BandwidthLimit } from '@understudy/domain/sites/bandwidth'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import type {
  AlertStore,
  BandwidthStore,
  EventStore,
  GroupStore,
  GroupSummary,
  JobStore,
  LeaseStore,
  MachineStore,
  PolicyStore,
  ProtectionNotes,
  ProtectionStore,
  ProtectionSummary,
  RunStore,
  SiteStore,
  Stores,
} from '@understudy/engine/ports/stores'
import { memoryPlanStores } from './memory-plan-stores.ts'
import { copies, copy, findOrRefuse, type Listed, pageOf } from './memory-rows.ts'
import { memorySeedStore } from './memory-seed-store.ts'
import { memorySiteFailoverStore } from './memory-site-failover-store.ts'

/**
 * All stores over plain maps. What goes in and out is copied, so a caller cannot change a row behind the store's back.
 * Every operation is atomic: nothing awaits between reading and writing. Keep the object to simulate a restart of the process.
 * `jobsMeet`: two jobs may work on one subject, to see that what lies behind that rule holds alone.
 */
export function memoryStores({ jobsMeet = false }: { readonly jobsMeet?: boolean } = {}): Stores {
  const protections = memoryProtectionStore()
  const runs = memoryRunStore(protections.rows)
  const bandwidth = new Map<string, BandwidthLimit>()
  return {
    sites: memorySiteStore(bandwidth),
    bandwidth: memoryBandwidthStore(bandwidth),
    machines: memoryMachineStore(),
    policies: memoryPolicyStore(),
    groups: memoryGroupStore(protections.rows),
    protections: protections.store,
    runs,
    jobs: memoryJobStore(jobsMeet),
    events: memoryEventStore(),
    alerts: memoryAlertStore(),
    leases: memoryLeaseStore(protections.rows),
    ...memoryPlanStores(runs),
    siteFailovers: memorySiteFailoverStore(),
    seeds: memorySeedStore((id) => protections.rows.has(id)),
  }
}

function memorySiteStore(bandwidth: Map<string, BandwidthLimit>): SiteStore {
  const rows = new Map<SiteId, { site: Site; secrets: Readonly<Record<string, string>> }>()
  const refuseTakenName = (name: string, except: SiteId | null): void => {
    for (const { site } of rows.values())
      if (site.name === name && site.id !== except)
        throw new Refusal({
          code: 'site/name-taken',
          message: `There is a site called "${name}" already`,
          remedy: 'Choose another name.',
        })
  }
  return {
    list: async () => copies([...rows.values()].map((row) => row.site)),
    find: async (id) => copy(rows.get(id)?.site ?? null),
    async create(site, secrets) {
      refuseTakenName(site.name, null)
      rows.set(site.id, copy({ site, secrets }))
    },
    async update(id, change, secrets) {
      const row = findOrRefuse(rows, 'site', id)
      if (change.name !== undefined) refuseTakenName(change.name, id)
      rows.set(id, copy({ site: { ...row.site, ...change }, secrets: secrets ?? row.secrets }))
    },
    secrets: async (id) => copy(rows.get(id)?.secrets ?? {}),
    async remove(id) {
      rows.delete(id)
      for (const [key, limit] of bandwidth)
        if (limit.sourceSiteId === id || limit.targetSiteId === id) bandwidth.delete(key)
    },
  }
}

function memoryBandwidthStore(rows: Map<string, BandwidthLimit>): BandwidthStore {
  const keyOf = (source: SiteId, target: SiteId): string => `${source} ${target}`
  return {
    list: async () => copies(rows.values()),
    async save(limit) {
      rows.set(keyOf(limit.sourceSiteId, limit.targetSiteId), copy(limit))
    },
    async remove(source, target) {
      rows.delete(keyOf(source, target))
    },
  }
}

function memoryMachineStore(): MachineStore {
  const rows = new Map<MachineId, Machine>()
  let counter = 0
  const ofSite = (siteId: SiteId): Machine[] => [...rows.values()].filter((row) => row.siteId === siteId)

  /** What the inventory says, without what changes at every look. */
  const facts = (machine: Machine): string => JSON.stringify({ ...machine, seenAt: 0 })
  const put = (row: Machine): boolean => {
    const before = rows.get(row.id)
    rows.set(row.id, copy(row))
    return before === undefined || facts(before) !== facts(row)
  }
  const asRow = (
    siteId: SiteId,
    found: DiscoveredMachine,
    known: Machine | undefined,
    at: Instant,
  ): Machine => {
    if (known === undefined) counter += 1
    const id = known?.id ?? (`machine-${counter}` as MachineId)
    const { ref, name, host, power, hardware, guestAgent, ownedBy } = found
    return { id, siteId, ref, name, host, power, hardware, guestAgent, ownedBy, seenAt: at, present: true }
  }
  return {
    list: async (siteId) => copies(siteId === undefined ? rows.values() : ofSite(siteId)),
    find: async (id) => copy(rows.get(id) ?? null),
    findByRef: async (siteId, ref) => copy(ofSite(siteId).find((row) => row.ref === ref) ?? null),
    async replaceInventory(siteId, machines, at) {
      const known = new Map(ofSite(siteId).map((row) => [row.ref, row]))
      let changed = false
      for (const found of machines) {
        if (put(asRow(siteId, found, known.get(found.ref), at))) changed = true
        known.delete(found.ref)
      }
      for (const gone of known.values()) if (put({ ...gone, present: false })) changed = true
      return changed
    },
  }
}

function memoryPolicyStore(): PolicyStore {
  const rows = new Map<string, Policy>()
  return {
    list: async () => copies(rows.values()),
    find: async (id) => copy(rows.get(id) ?? null),
    async save(policy) {
      rows.set(policy.id, copy(policy))
    },
    async remove(id) {
      rows.delete(id)
    },
  }
}

const emptySummary: ProtectionSummary = {
  newestPoint: null,
  newestApplicationPoint: null,
  pointCount: 0,
  storedBytes: 0,
  lastCycle: null,
  lastTestAt: null,
  lastTestPassed: null,
  lastRecoverySeconds: null,
}

const emptyNotes: ProtectionNotes = {
  resyncReason: null,
  originalFingerprints: [],
  originalPoint: null,
  runningCheckpoint: null,
  lastApplicationConsistentAt: null,
}

type ProtectionRow = {
  protection: Protection
  summary: ProtectionSummary
  notes: ProtectionNotes
  bootCheck: BootCheck | null
}
type ProtectionRows = Map<ProtectionId, ProtectionRow>

function memoryProtectionStore(): { store: ProtectionStore; rows: ProtectionRows } {
  const rows: ProtectionRows = new Map()
  const row = (id: ProtectionId): ProtectionRow => findOrRefuse(rows, 'protection', id)
  const store: ProtectionStore = {
    list: async () => copies([...rows.values()].map(({ protection }) => protection)),
    find: async (id) => copy(rows.get(id)?.protection ?? null),
    async create(protection) {
      for (const { protection: other } of rows.values())
        if (other.machineId === protection.machineId && other.state !== 'gone')
          throw new Refusal({
            code: 'protection/exists',
            message: `${protection.name} is protected already`,
            remedy: 'Open its protection instead, or end that first.',
          })
      rows.set(protection.id, copy({ protection, summary: emptySummary, notes: emptyNotes, bootCheck: null }))
    },
    async moveState(id, from, to, note, resumeState) {
      const found = rows.get(id)
      if (found?.protection.state !== from) return false
      const resume = resumeState === undefined ? found.protection.resumeState : resumeState
      found.protection = { ...found.protection, state: to, stateNote: note, resumeState: resume }
      return true
    },
    async claimState(id, from, to, { note, notes }) {
      const found = rows.get(id)
      if (found?.protection.state !== from) return false
      found.protection = { ...found.protection, state: to, stateNote: note, resumeState: from }
      found.notes = copy({ ...found.notes, ...notes })
      return true
    },
    async releaseState(id, from, to, { owner, note, resumeState }) {
      const found = rows.get(id)
      if (found?.protection.state !== from || (found.notes.claim?.jobId ?? null) !== owner) return false
      found.protection = { ...found.protection, state: to, stateNote: note, resumeState }
      found.notes = { ...found.notes, claim: null }
      return true
    },
    async giveUpClaim(id, owner) {
      const found = rows.get(id)
      const claim = found?.notes.claim
      if (found && claim?.jobId === owner)
        found.notes = { ...found.notes, claim: { ...claim, givenUp: true } }
    },
    async update(id, change) {
      const found = row(id)
      found.protection = copy({ ...found.protection, ...change })
    },
    async nextEpoch(id) {
      const found = row(id)
      found.protection = { ...found.protection, epoch: found.protection.epoch + 1 }
      return found.protection.epoch
    },
    summary: async (id) => copy(row(id).summary),
    bootCheck: async (id) => copy(row(id).bootCheck),
    async keepBootCheck(id, check) {
      row(id).bootCheck = copy(check)
    },
    summaries: async () => new Map([...rows].map(([id, { summary }]) => [id, copy(summary)])),
    async updateSummary(id, change) {
      const found = row(id)
      found.summary = copy({ ...found.summary, ...change })
    },
    notes: async (id) => copy(row(id).notes),
    async updateNotes(id, change) {
      const found = row(id)
      found.notes = copy({ ...found.notes, ...change })
    },
    turning: async () =>
      [...rows].filter(([, { notes }]) => notes.turning || notes.setAside?.length).map(([id]) => id),
    withLeftReplicas: async () =>
      [...rows].filter(([, { notes }]) => notes.leftReplicas?.length).map(([id]) => id),
    async remove(id) {
      rows.delete(id)
    },
  }
  return { store, rows }
}

const emptyGroupSummary: GroupSummary = { newestCut: null, newestWholeCut: null, apart: null }

function memoryGroupStore(protections: ProtectionRows): GroupStore {
  const rows = new Map<GroupId, { group: ConsistencyGroup; summary: GroupSummary }>()
  const refuseTakenName = (name: string, except: GroupId): void => {
    for (const { group } of rows.values())
      if (group.name.toLowerCase() === name.toLowerCase() && group.id !== except)
        throw new Refusal({
          code: 'group/name-taken',
          message: `There is a group called "${name}" already`,
          remedy: 'Choose another name.',
        })
  }
  const membersOf = (id: GroupId): ProtectionRow[] =>
    [...protections.values()].filter(({ protection }) => protection.groupId === id)
  return {
    list: async () => copies([...rows.values()].map(({ group }) => group)),
    find: async (id) => copy(rows.get(id)?.group ?? null),
    async create(group) {
      refuseTakenName(group.name, group.id)
      rows.set(group.id, copy({ group, summary: emptyGroupSummary }))
    },
    async rename(id, name) {
      const row = findOrRefuse(rows, 'group', id)
      refuseTakenName(name, id)
      row.group = { ...row.group, name }
    },
    async remove(id) {
      rows.delete(id)
      for (const row of membersOf(id)) row.protection = { ...row.protection, groupId: null }
    },
    async changePolicy(id, policyId) {
      for (const row of membersOf(id)) row.protection = { ...row.protection, policyId }
    },
    summaries: async () => new Map([...rows].map(([id, { summary }]) => [id, copy(summary)])),
    async updateSummary(id, change) {
      const row = rows.get(id)
      if (row) row.summary = copy({ ...row.summary, ...change })
    },
  }
}

function memoryRunStore(protections: ReadonlyMap<ProtectionId, ProtectionRow>): RunStore {
  const rows = new Map<string, Run>()
  const screenshots = new Map<string, Buffer>()
  const newestFirst = (runs: Run[]): Run[] => runs.reverse().sort((a, b) => b.startedAt - a.startedAt)
  return {
    async create(run) {
      rows.set(run.id, copy(run))
    },
    find: async (id) => copy(rows.get(id) ?? null),
    active: async (protectionId) =>
      copies(
        newestFirst([...rows.values()].filter((run) => !run.over)).filter(
          (run) => protectionId === undefined || run.protectionId === protectionId,
        ),
      ),
    history: async (protectionId, limit) =>
      copies(
        newestFirst([...rows.values()].filter((run) => run.protectionId === protectionId)).slice(0, limit),
      ),
    async update(id, change) {
      rows.set(id, copy({ ...findOrRefuse(rows, 'run', id), ...change }))
    },
    async endClaimed(id, owner, endedAt) {
      const run = rows.get(id)
      const claim = run && protections.get(run.protectionId)?.notes.claim
      if (run === undefined || claim?.jobId !== owner || claim.givenUp) return false
      rows.set(id, { ...run, over: true, endedAt: run.endedAt ?? endedAt, commitDeadline: null })
      return true
    },
    async saveScreenshot(id, png) {
      screenshots.set(id, Buffer.from(png))
    },
    withScreenshot: async (ids) => new Set(ids.filter((id) => screenshots.has(id))),
    async screenshot(id) {
      const png = screenshots.get(id)
      return png ? Buffer.from(png) : null
    },
    async trim(before) {
      const old = [...rows.values()].filter(
        ({ kind, over, endedAt }) => kind === 'test' && over && endedAt !== null && endedAt < before,
      )
      for (const { id } of old) {
        rows.delete(id)
        screenshots.delete(id)
      }
      return old.length
    },
  }
}

function memoryJobStore(jobsMeet: boolean): JobStore {
  const rows = new Map<string, Listed<Job>>()
  let order = 0
  const refuseSecond = (job: Job): void => {
    const key = exclusiveKeyOf(job)
    if (jobsMeet || key === null) return
    for (const { row } of rows.values())
      if (row.id !== job.id && exclusiveKeyOf(row) === key)
        throw new Refusal({
          code: 'job/another-works',
          message: `Another job works on ${job.subjectName}`,
          remedy: 'Wait until it is over, then look again.',
        })
  }
  return {
    async create(job) {
      if (rows.has(job.id)) return
      refuseSecond(job)
      order += 1
      rows.set(job.id, { at: job.createdAt, order, row: copy(job) })
    },
    find: async (id) => copy(rows.get(id)?.row ?? null),
    async list({ subjectId, states, kinds }, page) {
      const matches = [...rows.values()].filter(
        ({ row }) =>
          (subjectId === undefined || row.subjectId === subjectId) &&
          (states === undefined || states.includes(row.state)) &&
          (kinds === undefined || kinds.includes(row.kind)),
      )
      return pageOf(matches, page)
    },
    async update(id, change) {
      const listed = findOrRefuse(rows, 'job', id)
      refuseSecond({ ...listed.row, ...change })
      rows.set(id, { ...listed, row: copy({ ...listed.row, ...change }) })
    },
    async closeQuestion(id, questionId) {
      const listed = rows.get(id)
      if (listed?.row.state !== 'waiting' || listed.row.question?.id !== questionId) return false
      rows.set(id, { ...listed, row: copy({ ...listed.row, question: null }) })
      return true
    },
    async failActive(id, failure, endedAt) {
      const listed = rows.get(id)
      if (!listed || !activeJobStates.includes(listed.row.state)) return false
      rows.set(id, { ...listed, row: copy({ ...listed.row, state: 'failed', failure, endedAt }) })
      return true
    },
    async trim(before) {
      const old = [...rows.values()].filter(({ row }) => row.endedAt !== null && row.endedAt < before)
      for (const { row } of old) rows.delete(row.id)
      return old.length
    },
  }
}

const severityRank: Record<Severity, number> = { info: 0, warning: 1, critical: 2 }

function memoryEventStore(): EventStore {
  let rows: Listed<Event>[] = []
  let order = 0
  return {
    async append(event) {
      if (rows.some(({ row }) => row.id === event.id)) return
      order += 1
      rows.push({ at: event.at, order, row: copy(event) })
    },
    async list({ subjectId, minimumSeverity, code }, page) {
      const least = severityRank[minimumSeverity ?? 'info']
      const matches = rows.filter(
        ({ row }) =>
          (subjectId === undefined || row.subjectId === subjectId) &&
          (code === undefined || row.code === code) &&
          severityRank[row.severity] >= least,
      )
      return pageOf(matches, page)
    },
    async trim(before) {
      const kept = rows.filter(({ at }) => at >= before)
      const removed = rows.length - kept.length
      rows = kept
      return removed
    },
  }
}

function memoryAlertStore(): AlertStore {
  const rows = new Map<string, Listed<Alert>>()
  let order = 0
  const openOne = (code: string, subjectId: string | null): Alert | undefined =>
    [...rows.values()].find(
      ({ row }) => row.code === code && row.subjectId === subjectId && row.resolvedAt === null,
    )?.row
  const change = (id: string, fields: Partial<Alert>): void => {
    const listed = present(rows.get(id), 'only alerts that exist are changed')
    rows.set(id, { ...listed, row: copy({ ...listed.row, ...fields }) })
  }
  return {
    async raise(alert) {
      const open = openOne(alert.code, alert.subjectId)
      if (open) {
        const { message, remedy, severity } = alert
        const isGraver = severityRank[severity] > severityRank[open.severity]
        change(open.id, { message, remedy, severity, ...(isGraver ? { acknowledgedBy: null } : {}) })
        return isGraver ? 'graver' : 'known'
      }
      order += 1
      rows.set(alert.id, { at: alert.raisedAt, order, row: copy(alert) })
      return 'new'
    },
    async findOpen(code, subjectId) {
      const open = openOne(code, subjectId)
      return open ? copy(open) : null
    },
    async resolve(code, subjectId, at) {
      const open = openOne(code, subjectId)
      if (!open) return false
      change(open.id, { resolvedAt: at })
      return true
    },
    async resolveAll(subjectId, at) {
      const open = [...rows.values()].filter(
        ({ row }) => row.subjectId === subjectId && row.resolvedAt === null,
      )
      for (const { row } of open) change(row.id, { resolvedAt: at })
      return open.length
    },
    async openSubjects(code) {
      const open = [...rows.values()].filter(({ row }) => row.code === code && row.resolvedAt === null)
      return new Set(open.flatMap(({ row: { subjectId } }) => (subjectId === null ? [] : [subjectId])))
    },
    async trim(before) {
      const old = [...rows.values()].filter(({ row }) => row.resolvedAt !== null && row.resolvedAt < before)
      for (const { row } of old) rows.delete(row.id)
      return old.length
    },
    async acknowledge(id, by) {
      findOrRefuse(rows, 'alert', id)
      change(id, { acknowledgedBy: by })
    },
    async list({ open }, page) {
      const matches = [...rows.values()].filter(
        ({ row }) => open === undefined || (row.resolvedAt === null) === open,
      )
      return pageOf(matches, page)
    },
  }
}

function memoryLeaseStore(protections: ReadonlyMap<ProtectionId, ProtectionRow>): LeaseStore {
  const movers = new Map<string, { beatAt: Instant; expiresAt: Instant }>()
  const leases = new Map<ProtectionId, string>()
  const heldBy = (moverId: string): ProtectionId[] =>
    [...protections.keys()].filter((id) => leases.get(id) === moverId)
  const isFree = (id: ProtectionId, at: Instant): boolean => {
    const holder = leases.get(id)
    if (holder === undefined) return true
    const heartbeat = movers.get(holder)
    return heartbeat === undefined || heartbeat.expiresAt <= at
  }
  /** Living ones, of mates that replicate; none of a machine that does not. */
  const holdersOfGroup = ({ groupId, state }: Protection, at: Instant): string[] => {
    if (groupId === null || !replicatingStates.includes(state)) return []
    const mates = [...protections.values()].filter(
      ({ protection }) =>
        protection.groupId === groupId &&
        replicatingStates.includes(protection.state) &&
        !isFree(protection.id, at),
    )
    return mates.flatMap(({ protection }) => leases.get(protection.id) ?? [])
  }
  return {
    async beat(moverId, at, expiresAt) {
      movers.set(moverId, { beatAt: at, expiresAt })
    },
    async claim(moverId, at, limit) {
      const free = [...protections.values()]
        .map(({ protection }) => protection)
        .filter((protection) => protection.state !== 'gone' && isFree(protection.id, at))
        .filter((protection) => !holdersOfGroup(protection, at).some((holder) => holder !== moverId))
        .sort((a, b) => holdersOfGroup(b, at).length - holdersOfGroup(a, at).length)
        .map(({ id }) => id)
        .slice(0, limit)
      for (const id of free) leases.set(id, moverId)
      return free
    },
    held: async (moverId) => heldBy(moverId),
    groupHolders: async (at) =>
      new Map(
        [...protections.values()].flatMap(({ protection: { id, groupId } }) => {
          const holder = leases.get(id)
          return groupId === null || holder === undefined || isFree(id, at) ? [] : [[id, holder] as const]
        }),
      ),
    async release(moverId, protectionId) {
      if (leases.get(protectionId) === moverId) leases.delete(protectionId)
    },
    async leave(moverId) {
      movers.delete(moverId)
      for (const id of heldBy(moverId)) leases.delete(id)
    },
    movers: async () =>
      [...movers].map(([id, { beatAt, expiresAt }]) => ({
        id,
        beatAt,
        expiresAt,
        protections: heldBy(id).length,
      })),
  }
}
