// The contract's routes as a table, so that access, audit and "method not allowed" are decided before a body is read.
import { fallbackContractConfig, isContractProcedure } from '@orpc/contract'
import { contract } from '@understudy/contract/api'

export type ApiRoute = {
  readonly method: string
  /** As in the contract: `/sites/{id}`. */
  readonly path: string
  readonly pattern: RegExp
  /** Names from the contract's root: `['sites', 'get']`. */
  readonly name: readonly string[]
}

export const apiRoutes: readonly ApiRoute[] = collect(contract, [])

function collect(node: unknown, name: readonly string[]): ApiRoute[] {
  if (isContractProcedure(node)) {
    const { method, path } = node['~orpc'].route
    const shownPath = path ?? `/${name.join('/')}`
    return [
      {
        method: fallbackContractConfig('defaultMethod', method),
        path: shownPath,
        pattern: patternOf(shownPath),
        name,
      },
    ]
  }
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, child]) => collect(child, [...name, key]))
}

function patternOf(path: string): RegExp {
  const literal = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&')
  return new RegExp(`^${literal.replace(/\{[^}]+\}/g, '[^/]+')}/?$`)
}

export type RouteMatch =
  | { readonly kind: 'route'; readonly route: ApiRoute }
  | { readonly kind: 'other-method'; readonly allowed: readonly string[] }
  | { readonly kind: 'unknown' }

/** `path` without the `/api/v1` prefix and without a query. A literal segment wins over a parameter. */
export function matchRoute(method: string, path: string): RouteMatch {
  const candidates = apiRoutes.filter((route) => route.pattern.test(path))
  const fitting = candidates.filter((route) => route.method === method)
  const route = fitting.toSorted((left, right) => parameters(left) - parameters(right))[0]
  if (route) return { kind: 'route', route }
  if (candidates.length > 0)
    return { kind: 'other-method', allowed: [...new Set(candidates.map((each) => each.method))] }
  return { kind: 'unknown' }
}

const parameters = (route: ApiRoute): number => route.path.split('{').length
