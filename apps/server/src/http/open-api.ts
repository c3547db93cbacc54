// OpenAPI 3.1 from the contract, completed by what the contract cannot say: problems, roles, idempotency keys.
import { OpenAPIGenerator } from '@orpc/openapi'
import { ZodToJsonSchemaConverter } from '@orpc/zod/zod4'
import { contract } from '@understudy/contract/api'
import { Problem } from '@understudy/contract/problem'
import { accessOf } from '@understudy/contract/roles'
import { z } from 'zod'
import { apiRoutes } from './route-table.ts'

type Operation = Record<string, unknown> & { parameters?: unknown[]; responses?: Record<string, unknown> }

/** A plain JSON document. */
export async function openApiDocument(version: string): Promise<Record<string, unknown>> {
  const generator = new OpenAPIGenerator({ schemaConverters: [new ZodToJsonSchemaConverter()] })
  const document = (await generator.generate(contract, {
    info: {
      title: 'Understudy',
      version,
      description:
        'Site recovery: replicate machines to a second site, fail over, fail back. Failed requests answer RFC 9457 problem details with code, cause and remedy.',
    },
    servers: [{ url: '/api/v1' }],
    security: [{ token: [] }, { session: [] }],
  })) as unknown as Record<string, unknown>
  const components = (document.components ?? {}) as { schemas?: Record<string, unknown> } & Record<
    string,
    unknown
  >
  components.schemas = {
    ...components.schemas,
    Problem: z.toJSONSchema(Problem, { target: 'draft-2020-12', io: 'output' }),
  }
  components.securitySchemes = {
    token: { type: 'http', scheme: 'bearer', description: 'An API token from Settings' },
    session: {
      type: 'apiKey',
      in: 'cookie',
      name: 'understudy_session',
      description: 'The console; changes also need x-csrf-token',
    },
  }
  document.components = components
  const paths = document.paths as Record<string, Record<string, Operation>>
  for (const route of apiRoutes) {
    const operation = paths[route.path]?.[route.method.toLowerCase()]
    if (operation) completeOperation(operation, route.method, accessOf(route.name))
  }
  return document
}

function completeOperation(operation: Operation, method: string, access: string): void {
  operation['x-role'] = access
  if (access === 'anyone') operation.security = []
  operation.responses = {
    ...operation.responses,
    default: {
      description: 'What went wrong, why, and what to do about it',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  }
  if (method !== 'GET')
    operation.parameters = [
      ...(operation.parameters ?? []),
      {
        name: 'Idempotency-Key',
        in: 'header',
        required: false,
        schema: { type: 'string', maxLength: 200 },
        description: 'The same key with the same request is done once and answered the same',
      },
    ]
}
