// The lab as the API sees it: two sites and two machines on this computer, to learn and to try everything without risk.
import type { Lab as ShownLab } from '@understudy/contract/overview'
import type { Asker } from '@understudy/engine/requests'

export type Lab = {
  status(): Promise<ShownLab>
  /** Starts the durable job, or returns the one that is running. Refuses when it cannot work here (`lab/not-available`). */
  create(asker: Asker): Promise<{ readonly jobId: string }>
  /** Registers an emulated Azure on this computer. Repeatable. Refuses where it cannot work (`lab/not-available`). */
  addAzure(asker: Asker): Promise<{ readonly siteId: string }>
  /** Refuses while its machines are protected (`lab/in-use`). */
  remove(asker: Asker): Promise<void>
}
