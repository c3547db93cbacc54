// What the steps of a plan do to the world outside: programs, probes, HTTP, DNS, load balancers, services of a cloud.
import type { Instant } from '@understudy/base/instant'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type {
  AzureChangeAction,
  AzureRunCommandAction,
  DnsAction,
  HttpAction,
  LoadBalancerAction,
  ProbeAction,
  ScriptAction,
} from '@understudy/domain/recovery-plans/step-action'
import type { SiteId } from '@understudy/domain/sites/site'
import type { CloudServices } from './cloud-services.ts'
import type { GuestPrograms } from './guest-programs.ts'
import type { HostPrograms } from './host-programs.ts'

/** One step as it is done. Every text is substituted, secrets included: nothing of it may be logged or kept. */
export type StepWork = {
  /** Of this attempt, unique for ever, `[a-z0-9-]{1,36}`: whoever is asked again with it finds what it began before. */
  readonly attemptId: string
  readonly action:
    | ScriptAction
    | ProbeAction
    | HttpAction
    | DnsAction
    | LoadBalancerAction
    | AzureChangeAction
    | AzureRunCommandAction
  /**
   * Where a machine of the plan can be reached now, the best address first: `192.0.2.7`, or with a port that is taken instead of
   * the step's own, as behind a forwarder: `http://127.0.0.1:18080`.
   */
  readonly addressOf: (machine: ItemId) => readonly string[]
  /** Null: it is not up, or its platform cannot. */
  readonly guestOf: (machine: ItemId) => GuestPrograms | null
  /** Null: there is no such site, or its platform cannot. */
  readonly hostOf: (site: SiteId) => HostPrograms | null
  /** Null: there is no such site, or it has no sign-in to a cloud. */
  readonly cloudOf: (site: SiteId) => CloudServices | null
  /** Null: it is not up, or does not run in a cloud. */
  readonly cloudMachineOf: (machine: ItemId) => CloudMachine | null
  /** The key of a DNS update, base64. */
  readonly tsigSecret: string | null
  /** Takes every secret out of a text. What programs print is kept only like that, once they have ended. */
  readonly mask: (text: string) => string
  /** For scripts: UNDERSTUDY_CONTEXT, JSON of the plan, its run, its machines with addresses and points. */
  readonly context: string
  /** When it has failed. Decided when the attempt began, so that a restart of ours begins no wait anew. */
  readonly deadline: Instant
}

export type CloudMachine = {
  readonly ref: MachineRef
  readonly site: SiteId
  readonly services: CloudServices
}

export type StepOutcome = {
  /** What came of it, one line for a person. */
  readonly note: string
  /** Of scripts both streams, of HTTP the answer; bounded, and what is left out is told. Null: there is none. */
  readonly output: string | null
}

/** The step has failed: what people see of it, and what it had printed by then. */
export class StepFailure extends Error {
  override readonly name = 'StepFailure'
  /** `step/kebab-case`. */
  readonly code: string
  readonly remedy: string
  readonly output: string | null
  constructor(what: {
    readonly code: string
    readonly message: string
    readonly remedy: string
    readonly output?: string | null
    readonly cause?: unknown
  }) {
    super(what.message, what.cause === undefined ? undefined : { cause: what.cause })
    this.code = what.code
    this.remedy = what.remedy
    this.output = what.output ?? null
  }
}

export interface StepRunner {
  /**
   * Throws StepFailure when the step has failed, for whatever reason but an abort. `report`: what it is at, one line, at most once a second.
   * Repeated with the same attempt after a crash: a script is not run twice, it runs on without us and its end is found; one whose
   * end nobody can know any more fails with `step/interrupted`, and so does an HTTP call that may have had its effect.
   * Aborted by people (`isCancelled`): what it has begun is ended, as far as that can be done; where it cannot be
   * known, that is a StepFailure after all (`step/may-run-on`). Aborted for another reason: it is left
   * as it is, and whoever is asked next finds it.
   */
  run(work: StepWork, report: (line: string) => void, signal: AbortSignal): Promise<StepOutcome>
}
