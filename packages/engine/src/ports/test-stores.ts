// How tests that begin by themselves, and the reports of what was run, are kept. PostgreSQL in the product, plain memory in tests.
import type { Instant } from '@understudy/base/instant'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import type {
  ScheduledTest,
  ScheduledTestState,
  TestSettings,
} from '@understudy/domain/recovery-plans/test-schedule'
import type { Page, PageRequest } from './page.ts'

export interface TestStore {
  /** Of every plan for which somebody has set anything. */
  list(): Promise<readonly TestSettings[]>
  find(planId: PlanId): Promise<TestSettings | null>
  /**
   * Compare and set: returns false, changing nothing, unless `next.revision - 1` is the newest one (0: there is none). Refuses a plan that is
   * not there (`recovery-plan/not-found`). They go with their plan.
   */
  save(next: TestSettings): Promise<boolean>
  /** Says why what is due has not begun; nothing happens when something else is due by now. */
  noteWaiting(planId: PlanId, dueAt: Instant, waitsFor: string): Promise<void>
  /**
   * What was due is written down, and the next one becomes due, in one act. `taken`, changing nothing: these settings or what is due are others
   * by now; a time that was written down before is passed over and never comes twice. `full`, changing nothing: `most` are open already (null: no matter).
   */
  claim(
    test: ScheduledTest,
    next: { readonly revision: number; readonly nextAt: Instant | null },
    most: number | null,
  ): Promise<'claimed' | 'taken' | 'full'>
  /** In `openTestStates`, from old to new. */
  open(): Promise<readonly ScheduledTest[]>
  /** Compare and set: returns false, changing nothing, when the state is not `from` any more. */
  move(
    planId: PlanId,
    dueAt: Instant,
    from: ScheduledTestState,
    to: ScheduledTestState,
    change?: Partial<Pick<ScheduledTest, 'note' | 'passed' | 'settledAt'>>,
  ): Promise<boolean>
  /** From new to old. */
  history(planId: PlanId, page: PageRequest): Promise<Page<ScheduledTest>>
  /** Bounded history: drops what was due before and is not open. Returns how many. */
  trim(before: Instant): Promise<number>
}

export type EvidenceFile = {
  readonly name: string
  readonly bytes: number
  /** Lower case, hexadecimal. */
  readonly sha256: string
}

/** One report about a run, as it stood at some moment. Never changes. */
export type Evidence = {
  readonly planRunId: PlanRunId
  /** Counts from 1: what became of a run afterwards makes another one. */
  readonly edition: number
  /** How the run and what followed it stood: see EvidenceStore.due. */
  readonly basis: string
  readonly madeAt: Instant
  /** Of the bundle, which holds the files. */
  readonly sha256: string
  readonly bytes: number
  readonly files: readonly EvidenceFile[]
}

export type DueEvidence = Pick<Evidence, 'planRunId' | 'edition' | 'basis'>

export interface EvidenceStore {
  /**
   * Runs that are over or have stopped, of which there is no report that says how they and what followed them stand now; not while
   * something still follows, or is about to clean up a scheduled test. Newest first.
   */
  due(limit: number): Promise<readonly DueEvidence[]>
  /**
   * The first one of its edition stays; false, changing nothing: there is one, or the run has gone. In the product the audit log has its hash
   * in the same act.
   */
  save(evidence: Evidence, bundle: Buffer): Promise<boolean>
  /** From new to old. They go with their run. */
  list(planRunId: PlanRunId): Promise<readonly Evidence[]>
  /** The newest of each of these. */
  newest(planRunIds: readonly PlanRunId[]): Promise<ReadonlyMap<PlanRunId, Evidence>>
  bundle(planRunId: PlanRunId, edition: number): Promise<Buffer | null>
}
