// The test of the connection to what keeps the replicas: the account, its container, and every right that they need.
import { Refusal, toFailureReport } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import { wallTextOf } from '@understudy/domain/calendar/wall-time'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import { type AzureContainer, makeContainer } from './azure-calls.ts'
import { checkContainer, refuseMissingRights } from './check-container.ts'
import type { ConnectionCheck } from './connection-check.ts'
import { asAnswered, signatureExpired } from './failures.ts'
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
  readonly clock: Clock
  readonly isTrial: boolean
}

export const replicasCheck = (checked: ReplicasToCheck): ConnectionCheck => ({
  whole: (signal) => checkRights(checked, signal),
  // The smallest question that needs the account, the container and the sign-in.
  async brief() {
    const { settings, replicas } = checked
    await replicas.exists(NOBODY).catch((error: unknown) => {
      throw explained(asAnswered(error), checked)
    })
    return `${settings.account}: container ${settings.container} answers`
  },
})

/** Every right is asked for by using it, a dozen requests. */
async function checkRights(checked: ReplicasToCheck, signal: AbortSignal | undefined): Promise<string> {
  const { settings, container, isTrial } = checked
  const look = () =>
    checkContainer(container, trialPatience).catch((error: unknown) => {
      throw explained(error, checked)
    })
  let made = false
  const check = await look().catch(async (error: unknown) => {
    if (!isTrial || !isMissing(error)) throw error
    if (!settings.makeContainer) throw withOffer(error, settings)
    // Asked for only now: a signature for this container alone may make none, and needs to make none where it is there.
    made = await makeIt(checked, signal)
    return await look()
  })
  refuseMissingRights(check, settings.container)
  return [
    `${settings.account}: container ${settings.container} ${made ? 'was made' : 'answers'}, everything that replicas need is allowed`,
    ...endOf(checked),
    ...(check.pageDiff ? [] : ['it cannot tell changed pages, as an emulator: slower, not wrong']),
  ].join('; ')
}

const makeIt = (checked: ReplicasToCheck, signal: AbortSignal | undefined): Promise<boolean> =>
  makeContainer(checked.container, signal).catch((error: unknown) => {
    const { code } = toFailureReport(error)
    if (code !== 'azure/permission-missing' && code !== 'azure/not-authorized')
      throw explained(error, checked)
    throw new Refusal({
      code: 'azure/cannot-make-container',
      message: `The sign-in may not make the container ${checked.container.container}`,
      remedy:
        'Make it in the Azure portal (private access), or sign in with an account key; then test the connection again.',
      cause: error,
    })
  })

const isMissing = (error: unknown): error is Refusal =>
  error instanceof Refusal && error.code === 'azure/container-missing'

/** Whoever tries a site may have it made; nobody else is told so. */
function withOffer(error: Refusal, { container }: AzureSettings): Refusal {
  return new Refusal({
    code: error.code,
    message: `The container ${container} is not there`,
    remedy: 'Correct its name, or say that it shall be made ("Make the container").',
    cause: error,
  })
}

type Signed = Pick<ReplicasToCheck, 'signature' | 'clock'>

/** A signature that is refused without a reason tells it itself. */
function explained(error: unknown, { signature, clock }: Signed): unknown {
  if (!(error instanceof Refusal) || error.code !== 'azure/sign-in-refused') return error
  const { from, until } = validityOf(signature)
  const now = clock.now()
  if (until !== null && until <= now) return signatureExpired(`ended on ${dayAndTime(until)}`, error)
  if (from !== null && from > now) return signatureExpired(`is not valid before ${dayAndTime(from)}`, error)
  return error
}

const DAY_MS = 86_400_000

/** Until when a signature lets us in: nobody else remembers it. */
function endOf({ signature, clock }: Signed): readonly string[] {
  const { until } = validityOf(signature)
  if (until === null) return []
  const left = until - clock.now()
  const soon = left < DAY_MS ? ', less than a day' : left < 7 * DAY_MS ? ', less than a week' : ''
  return [
    `the signature is valid until ${dayAndTime(until)}${soon === '' ? '' : `${soon} from now: make a new one`}`,
  ]
}

/** Null: it does not say. */
export const endOfSignature = (signature: string | undefined): Instant | null => validityOf(signature).until

/** `st` and `se` of a shared access signature; null: it does not say. */
function validityOf(signature: string | undefined): { from: Instant | null; until: Instant | null } {
  const facts = new URLSearchParams((signature ?? '').replace(/^.*\?/, ''))
  const instantOf = (name: string): Instant | null => {
    const instant = Date.parse(facts.get(name) ?? '')
    return Number.isNaN(instant) ? null : instant
  }
  return { from: instantOf('st'), until: instantOf('se') }
}

const dayAndTime = (instant: Instant): string => `${wallTextOf(instant, 'UTC')} UTC`
