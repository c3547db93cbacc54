// The lab: two KVM sites and two small machines on this computer, made from the distribution's packages.
import { Refusal } from '@understudy/base/errors'
import type { Lab } from './lab/lab.ts'

export function composeLab(_parts: object): Lab & { stop(): Promise<void> } {
  return {
    status: () =>
      Promise.resolve({
        available: false,
        reason: 'it is not installed',
        state: 'absent',
        jobId: null,
        siteIds: [],
        pages: [],
      }),
    create: () =>
      Promise.reject(
        new Refusal({
          code: 'lab/not-available',
          message: 'There is no lab here',
          remedy: 'Register your own sites.',
        }),
      ),
    remove: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  }
}
