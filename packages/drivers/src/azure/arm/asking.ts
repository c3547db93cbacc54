// How Azure is asked through Microsoft's clients. Here and nowhere else their errors become ours.
import { isAbort, Outage, Refusal } from '@understudy/base/errors'
import { endless, fromArm, fromSignIn } from './arm-failures.ts'

export type AskingParts = {
  /** How often Azure is asked whether it has ended its work, and how long at most. */
  readonly pollMs: number
  readonly operationMinutes: number
}

export type Options = { readonly abortSignal: AbortSignal; readonly updateIntervalInMs: number }

/** Every request has an end, and every failure a name. */
export function asking({ pollMs, operationMinutes }: AskingParts) {
  const once = async <Result>(
    doing: string,
    signal: AbortSignal | undefined,
    request: (options: Options) => Promise<Result>,
  ): Promise<Result> => {
    const limit = AbortSignal.timeout(operationMinutes * 60_000)
    const abortSignal = signal === undefined ? limit : AbortSignal.any([signal, limit])
    try {
      return await request({ abortSignal, updateIntervalInMs: pollMs })
    } catch (error) {
      if (limit.aborted && signal?.aborted !== true)
        throw endless(`what it was asked to do (${doing})`, operationMinutes)
      throw translated(error, doing)
    }
  }
  return {
    once,
    async orNull<Result>(
      doing: string,
      signal: AbortSignal | undefined,
      request: (options: Options) => Promise<Result>,
    ): Promise<Result | null> {
      try {
        return await once(doing, signal, request)
      } catch (error) {
        if (error instanceof Refusal && error.facts.status === 404 && isAbsence(error.facts.name)) return null
        throw error
      }
    },
    /** False: Azure has one of this name, and was told to touch none. */
    async unlessThere(
      doing: string,
      signal: AbortSignal | undefined,
      request: (options: Options) => Promise<void>,
    ): Promise<boolean> {
      try {
        await once(doing, signal, request)
        return true
      } catch (error) {
        if (error instanceof Refusal && error.facts.status === 412) return false
        throw error
      }
    },
    all: <Item>(
      doing: string,
      signal: AbortSignal | undefined,
      request: (options: Options) => AsyncIterable<Item>,
    ): Promise<readonly Item[]> =>
      once(doing, signal, async (options) => {
        const items: Item[] = []
        for await (const item of request(options)) items.push(item)
        return items
      }),
  }
}

/** That the whole group or subscription has gone is no answer to where one machine is. */
const isAbsence = (name: unknown): boolean =>
  name !== 'ResourceGroupNotFound' && name !== 'SubscriptionNotFound'

type VendorError = {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly statusCode?: number
  readonly details?: { readonly error?: { readonly code?: string; readonly message?: string } }
  readonly response?: {
    readonly headers?: { get(name: string): string | undefined }
    readonly bodyAsText?: string | null
  }
}

function translated(error: unknown, doing: string): unknown {
  if (error instanceof Refusal || error instanceof Outage || isAbort(error)) return error
  if (error instanceof TypeError || error instanceof RangeError) return error
  const vendor = error as VendorError
  const message = vendor.message ?? String(error)
  if (
    /^(AuthenticationError|CredentialUnavailableError|AggregateAuthenticationError|AuthenticationRequiredError)$/.test(
      vendor.name ?? '',
    )
  )
    return fromSignIn(message, error)
  const status = vendor.statusCode ?? null
  const told = toldError(vendor)
  // "The long-running operation has failed. <Code>. <message>": the code is nowhere else.
  const failed = /long-running operation has (?:failed|been canceled)\.?\s*(?:([A-Za-z]+)\.\s*)?(.*)/is.exec(
    message,
  )
  const wait = Number(vendor.response?.headers?.get('retry-after') ?? Number.NaN)
  const fault = {
    status,
    name: told?.code ?? vendor.code ?? failed?.[1] ?? (failed === null ? '' : 'OperationFailed'),
    detail: told?.message ?? (failed?.[2] === undefined || failed[2] === '' ? message : failed[2]),
    retryAfterSeconds: Number.isFinite(wait) ? wait : null,
    cause: error,
  }
  return fromArm(fault, doing)
}

/** Azure's envelope, wherever the client of the day has put it. */
function toldError({ details, response }: VendorError): { code?: string; message?: string } | null {
  if (details?.error?.code !== undefined) return details.error
  const text = response?.bodyAsText
  if (text === undefined || text === null || text === '') return null
  try {
    return (JSON.parse(text) as VendorError['details'])?.error ?? null
  } catch {
    return null
  }
}
