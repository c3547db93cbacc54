// The test of the connection to what keeps the replicas: the account, its container, and every right that they need.
import { Refusal, toFailureReport } from '@understudy/base/errors'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import { type AzureContainer, makeContainer } from './azure-calls.ts'
import { checkContainer, refuseMissingRights } from './check-container.ts'
import type { ConnectionCheck } from './connection-check.ts'
import { asAnswered } from './failures.ts'
import type { Patience } from './patient-calls.ts'
import type { AzureSettings } from './settings.ts'

/** A person waits for the answer: asked again a little, not for a minute. */
export const trialPatience = {
  attempts: 3,
  firstPauseMs: 250,
  isInUse: false,
} as const satisfies Partial<Patience>

const NOBODY = 'connection-check' as ReplicaId

export type ReplicasToCheck = {
  readonly settings: AzureSettings
  readonly container: AzureContainer
  readonly replicas: ReplicaStore
  /** Of the site, where it signs in with one. */
  readonly signature: string | undefined
  readonly isTrial: boolean
}

export const replicasCheck = (checked: ReplicasToCheck): ConnectionCheck => ({
  whole: (signal) => checkRights(checked, signal),
  // The smallest question that needs the account, the container and the sign-in.
  async brief() {
    const { settings, replicas } = checked
    await replicas.exists(NOBODY).catch((error: unknown) => {
      throw asAnswered(error)
    })
    return `${settings.account}: container ${settings.container} answers`
  },
})

/** Every right is asked for by using it, a dozen requests. */
async function checkRights(
  { settings, container, signature, isTrial }: ReplicasToCheck,
  signal: AbortSignal | undefined,
): Promise<string> {
  const made = isTrial && settings.makeContainer && (await makeIt(container, signal))
  const check = await checkContainer(container, trialPatience).catch((error: unknown) => {
    throw isTrial ? withOffer(error, settings) : error
  })
  refuseMissingRights(check, settings.container)
  return [
    `${settings.account}: container ${settings.container} ${made ? 'was made' : 'answers'}, everything that replicas need is allowed`,
    ...endOf(signature),
    ...(check.pageDiff ? [] : ['it cannot tell changed pages, as an emulator: slower, not wrong']),
  ].join('; ')
}

const makeIt = (container: AzureContainer, signal: AbortSignal | undefined): Promise<boolean> =>
  makeContainer(container, signal).catch((error: unknown) => {
    const { code } = toFailureReport(error)
    if (code !== 'azure/permission-missing' && code !== 'azure/not-authorized') throw error
    throw new Refusal({
      code: 'azure/cannot-make-container',
      message: `The sign-in may not make the container ${container.container}`,
      remedy:
        'Make it in the Azure portal (private access), or sign in with an account key; then test the connection again.',
      cause: error,
    })
  })

/** Whoever tries a site may have it made; nobody else is told so. */
function withOffer(error: unknown, { container, makeContainer: wanted }: AzureSettings): unknown {
  if (!(error instanceof Refusal) || error.code !== 'azure/container-missing' || wanted) return error
  return new Refusal({
    code: error.code,
    message: `The container ${container} is not there`,
    remedy: 'Correct its name, or say that it shall be made ("Make the container").',
    cause: error,
  })
}

/** Until when a signature lets us in: nobody else remembers it. */
function endOf(signature: string | undefined): readonly string[] {
  const end = new URLSearchParams((signature ?? '').replace(/^.*\?/, '')).get('se')
  return end === null ? [] : [`the signature is valid until ${end}`]
}
