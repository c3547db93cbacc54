// Rows of every kind with sensible fields, for tests that care about one or two of them.
import { randomUUID } from 'node:crypto'
import type { Alert, AlertId, Event, EventId } from '@understudy/domain/events/event'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { Job, JobId } from '@understudy/domain/jobs/job'
import type { DiscoveredMachine, DiskKey, MachineId, MachineRef } from '@understudy/domain/machines/machine'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import { defaultPolicySettings, type Policy, type PolicyId } from '@understudy/domain/protection/policy'
import type { GroupId, Protection, ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { Site, SiteId } from '@understudy/domain/sites/site'

const noon = Date.parse('2026-01-01T12:00:00Z')

export const sampleSite = (change: Partial<Site> = {}): Site => ({
  id: randomUUID() as SiteId,
  name: `site ${randomUUID()}`,
  platform: 'simulated',
  settings: { machines: 3, nested: { list: [1, 'two', null] } },
  health: 'unknown',
  healthNote: null,
  checkedAt: null,
  createdAt: noon,
  ...change,
})

export const sampleDiscoveredMachine = (change: Partial<DiscoveredMachine> = {}): DiscoveredMachine => ({
  ref: randomUUID() as MachineRef,
  name: 'web-1',
  host: 'host-1',
  power: 'running',
  hardware: {
    cpus: 2,
    memoryBytes: 2 ** 31,
    firmware: 'uefi',
    disks: [
      {
        key: 'disk0' as DiskKey,
        label: 'Disk 1',
        bytes: 2 ** 40,
        format: 'qcow2',
        bus: 'virtio',
        boot: true,
      },
    ],
    adapters: [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: 'lan', model: 'virtio' }],
  },
  guestAgent: true,
  ownedBy: null,
  ...change,
})

export const samplePolicy = (change: Partial<Policy> = {}): Policy => ({
  ...defaultPolicySettings,
  id: randomUUID() as PolicyId,
  name: `policy ${randomUUID()}`,
  ...change,
})

export const sampleGroup = (change: Partial<ConsistencyGroup> = {}): ConsistencyGroup => ({
  id: randomUUID() as GroupId,
  name: `group ${randomUUID()}`,
  createdAt: noon,
  ...change,
})

export type ProtectionParents = {
  readonly machineId: MachineId
  readonly sourceRef: MachineRef
  readonly sourceSiteId: SiteId
  readonly targetSiteId: SiteId
  readonly policyId: PolicyId
}

export const sampleProtection = (
  parents: ProtectionParents,
  change: Partial<Protection> = {},
): Protection => ({
  ...parents,
  id: randomUUID() as ProtectionId,
  name: 'web-1',
  state: 'enabling',
  stateNote: null,
  resumeState: null,
  cycleAskedAt: null,
  direction: 'forward',
  originalRef: null,
  groupId: null,
  replicaId: randomUUID() as ReplicaId,
  epoch: 0,
  excludedDisks: ['disk7' as DiskKey],
  adapters: [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }],
  hardware: sampleDiscoveredMachine().hardware,
  createdAt: noon,
  ...change,
})

export const sampleRun = (
  parents: { readonly protectionId: ProtectionId; readonly targetSiteId: SiteId },
  change: Partial<Run> = {},
): Run => ({
  id: randomUUID() as RunId,
  protectionId: parents.protectionId,
  targetSiteId: parents.targetSiteId,
  kind: 'test',
  testState: 'starting',
  over: false,
  replicaId: randomUUID() as ReplicaId,
  pointId: '000000000001' as PointId,
  pointInstant: noon,
  place: null,
  machineRef: null,
  addresses: [],
  hydrated: 0,
  failure: null,
  startedAt: noon,
  answeredAt: null,
  waitedSeconds: 0,
  endedAt: null,
  commitDeadline: null,
  ...change,
})

export const sampleJob = (change: Partial<Job> = {}): Job => ({
  id: randomUUID() as JobId,
  kind: 'protect',
  state: 'queued',
  subjectId: randomUUID(),
  subjectName: 'web-1',
  tasks: [{ name: 'Check', state: 'pending', startedAt: null, endedAt: null, progress: null, note: null }],
  failure: null,
  question: null,
  createdAt: noon,
  endedAt: null,
  startedBy: 'ada',
  ...change,
})

export const sampleEvent = (change: Partial<Event> = {}): Event => ({
  id: randomUUID() as EventId,
  at: noon,
  severity: 'info',
  code: 'cycle/resync',
  message: 'Something happened',
  subjectId: null,
  subjectName: null,
  facts: { bytes: 4096, nested: { why: 'because' } },
  ...change,
})

export const sampleAlert = (change: Partial<Alert> = {}): Alert => ({
  id: randomUUID() as AlertId,
  code: 'protection/lag',
  severity: 'warning',
  message: 'Too far behind',
  remedy: 'Look at the network.',
  subjectId: null,
  subjectName: null,
  raisedAt: noon,
  acknowledgedBy: null,
  resolvedAt: null,
  ...change,
})
