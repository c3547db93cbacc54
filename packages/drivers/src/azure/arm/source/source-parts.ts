// What all parts of the source platform are given.
import type { TargetParts } from '../target-parts.ts'
import type { SnapshotCalls } from './snapshot-calls.ts'

export type SourceParts = Pick<TargetParts, 'arm' | 'settings' | 'clock' | 'waits'> & {
  readonly pages: SnapshotCalls
  /** Between two looks at whether a machine has come, gone or changed. */
  readonly watchMs: number
}
