import type { FailoverPreview } from '@understudy/contract/protection'
import type { z } from 'zod'

export type Preview = z.infer<typeof FailoverPreview>
export type SourcePower = Preview['sourcePower']

/** A machine that has left its site's inventory was running, or off, when it was seen last: that is no fact any more. Pure. */
export const withFreshPower = (preview: Preview, present: boolean): Preview =>
  present || preview.sourcePower === 'unreachable' ? preview : { ...preview, sourcePower: 'unknown' }
