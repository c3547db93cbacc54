// What the judges of a step share.
import type { Endpoint } from './step-action.ts'

/** One thing that is wrong, before it is known beside which step it is told. */
export type Fault = {
  readonly level?: 'warning'
  readonly code: string
  readonly message: string
  readonly remedy: string
}

export const faultsWhere = (
  rows: readonly (readonly [condition: boolean, code: string, message: string, remedy: string])[],
): readonly Fault[] =>
  rows.filter(([condition]) => condition).map(([, code, message, remedy]) => ({ code, message, remedy }))

export const checkEndpoint = (endpoint: Endpoint): readonly Fault[] =>
  faultsWhere([
    [
      endpoint.kind === 'address' && isBlank(endpoint.address),
      'no-address',
      'has no address',
      'Give an address, or choose a machine of the plan.',
    ],
  ])

export const isBlank = (text: string): boolean => text.trim() === ''
export const hasReference = (text: string): boolean => text.includes('{{')
