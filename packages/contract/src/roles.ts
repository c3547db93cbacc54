// Who may do what: the one place. The server refuses by it, and the console says beforehand what would be refused. A route that
// has no row here does not compile.

import type { Role } from './access.ts'
import type { Contract } from './api.ts'
import type { Job } from './job.ts'
import type { ProtectionAction } from './protection.ts'

/** `anyone`: before signing in. `display`: whoever is signed in, and a display link. */
export type Access = Role | 'display' | 'anyone'

type RolesOf<Node> = {
  readonly [Name in keyof Node]: Node[Name] extends { '~orpc': unknown } ? Access : RolesOf<Node[Name]>
}

export const roleOf = {
  setup: { status: 'anyone', complete: 'anyone' },
  session: { current: 'reader', signIn: 'anyone', signOut: 'reader', changePassword: 'reader' },
  overview: 'reader',
  sites: {
    list: 'reader',
    get: 'reader',
    create: 'contributor',
    update: 'contributor',
    remove: 'contributor',
    testConnection: 'contributor',
    refresh: 'operator',
    networks: 'reader',
    placementChoices: 'reader',
    failoverOutlook: 'reader',
    failOver: 'operator',
  },
  bandwidth: { list: 'reader', save: 'contributor', remove: 'contributor' },
  agents: {
    list: 'reader',
    get: 'reader',
    protections: 'reader',
    invite: 'contributor',
    lookAround: 'operator',
    acceptHardware: 'contributor',
    upgrade: 'contributor',
    upgradeAll: 'contributor',
    revoke: 'contributor',
    receivers: 'reader',
    serversFor: 'reader',
    assign: 'operator',
    takeBack: 'operator',
  },
  machines: { list: 'reader', get: 'reader', eligibility: 'reader' },
  policies: {
    list: 'reader',
    get: 'reader',
    create: 'contributor',
    update: 'contributor',
    remove: 'contributor',
  },
  groups: {
    list: 'reader',
    get: 'reader',
    create: 'contributor',
    update: 'contributor',
    remove: 'contributor',
    candidates: 'reader',
    addMembers: 'contributor',
    removeMember: 'contributor',
  },
  protections: {
    list: 'reader',
    get: 'reader',
    preview: 'contributor',
    create: 'contributor',
    update: 'contributor',
    end: 'contributor',
    recoveryPoints: 'reader',
    annotatePoint: 'operator',
    runs: 'reader',
    history: 'reader',
    bootCheck: 'reader',
    checkBoot: 'operator',
    prepareBoot: 'operator',
    failoverPreview: 'reader',
    testFailover: 'operator',
    cleanUpTest: 'operator',
    failover: 'operator',
    changePoint: 'operator',
    startReplica: 'operator',
    commit: 'operator',
    rollBack: 'operator',
    reprotect: 'operator',
    failBack: 'operator',
    replicateNow: 'operator',
    resync: 'operator',
    pause: 'operator',
    resume: 'operator',
    // They name folders of the server.
    exportSeed: 'contributor',
    importSeed: 'contributor',
    giveUpSeed: 'contributor',
  },
  runs: { get: 'reader', screenshot: 'reader' },
  jobs: { list: 'reader', get: 'reader', answer: 'operator', cancel: 'operator', retry: 'operator' },
  plans: {
    list: 'reader',
    get: 'reader',
    create: 'contributor',
    save: 'contributor',
    remove: 'contributor',
    check: 'reader',
    dryRun: 'operator',
    timeLine: 'reader',
    powerOffOld: 'operator',
    versions: 'reader',
    version: 'reader',
    restore: 'contributor',
    diff: 'reader',
    merge: 'contributor',
    document: 'reader',
    importDocument: 'contributor',
    changeSecrets: 'contributor',
    testSettings: 'reader',
    saveTestSettings: 'contributor',
    scheduledTests: 'reader',
    start: 'operator',
  },
  library: { list: 'reader', makePlan: 'contributor' },
  planRuns: {
    list: 'reader',
    get: 'reader',
    evidence: 'reader',
    makeEvidence: 'operator',
    evidenceFile: 'reader',
    pause: 'operator',
    resume: 'operator',
    cancel: 'operator',
    edit: 'contributor',
    merge: 'contributor',
    followUp: 'operator',
    retry: 'operator',
    skip: 'operator',
    answer: 'operator',
  },
  siteFailovers: { list: 'reader', get: 'reader', stop: 'operator', change: 'operator' },
  events: { list: 'reader' },
  alerts: { list: 'reader', acknowledge: 'operator' },
  users: { list: 'owner', create: 'owner', update: 'owner', remove: 'owner' },
  tokens: { list: 'owner', create: 'owner', remove: 'owner' },
  displayLinks: { list: 'owner', create: 'owner', remove: 'owner' },
  wall: { picture: 'display', run: 'display' },
  audit: { list: 'owner' },
  movers: { list: 'reader' },
  lab: { get: 'reader', create: 'contributor', addAzure: 'contributor', remove: 'contributor' },
} as const satisfies RolesOf<Contract>

/**
 * Who may answer, cancel or retry a job: whoever may ask for what it does. The routes of `jobs` themselves ask for the lowest
 * of these.
 */
export const roleOfJob: Record<Job['kind'], Role> = {
  protect: 'contributor',
  'end-protection': 'contributor',
  resync: 'operator',
  'export-seed': 'contributor',
  'import-seed': 'contributor',
  'test-failover': 'operator',
  'clean-up-test': 'operator',
  'planned-failover': 'operator',
  'unplanned-failover': 'operator',
  'change-point': 'operator',
  'roll-back': 'operator',
  commit: 'operator',
  reprotect: 'operator',
  'fail-back': 'operator',
  'start-replica': 'operator',
  'power-off-old': 'operator',
  'create-lab': 'contributor',
  // Nobody asks for these.
  'tidy-up': 'operator',
  scrub: 'operator',
  'plan-step': 'operator',
}

/** What an action of a protection asks for: the role of its route. */
export const roleOfAction: Record<ProtectionAction, Access> = {
  'test-failover': roleOf.protections.testFailover,
  'clean-up-test': roleOf.protections.cleanUpTest,
  'planned-failover': roleOf.protections.failover,
  'unplanned-failover': roleOf.protections.failover,
  'change-point': roleOf.protections.changePoint,
  'start-replica': roleOf.protections.startReplica,
  commit: roleOf.protections.commit,
  'roll-back': roleOf.protections.rollBack,
  reprotect: roleOf.protections.reprotect,
  'fail-back': roleOf.protections.failBack,
  'replicate-now': roleOf.protections.replicateNow,
  resync: roleOf.protections.resync,
  pause: roleOf.protections.pause,
  resume: roleOf.protections.resume,
  'export-seed': roleOf.protections.exportSeed,
  'import-seed': roleOf.protections.importSeed,
  'give-up-seed': roleOf.protections.giveUpSeed,
  edit: roleOf.protections.update,
  end: roleOf.protections.end,
}

const rank: Record<Role, number> = { reader: 0, operator: 1, contributor: 2, owner: 3 }

/** Whether a person or token of this role (null: nobody signed in) may call what asks for `wanted`. */
export function mayCall(wanted: Access, role: Role | null): boolean {
  if (wanted === 'anyone') return true
  return role !== null && (wanted === 'display' || rank[role] >= rank[wanted])
}

/** Access of a procedure by its path in the contract, e.g. `['sites', 'create']`. Owner when it is not known: never open. */
export function accessOf(path: readonly string[]): Access {
  let node: unknown = roleOf
  for (const part of path)
    node = typeof node === 'object' && node !== null ? Reflect.get(node, part) : undefined
  return isAccess(node) ? node : 'owner'
}

const isAccess = (value: unknown): value is Access =>
  typeof value === 'string' && (value === 'anyone' || value === 'display' || Object.hasOwn(rank, value))
