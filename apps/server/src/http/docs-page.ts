// The API for people: one page made from the OpenAPI document. No script, no style from elsewhere.
type Schema = {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly properties?: Record<string, Schema>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly default?: unknown
}
type Parameter = {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: Schema
}
type Operation = {
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly 'x-role'?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content?: Record<string, { readonly schema?: Schema }> }
  readonly responses?: Record<
    string,
    { readonly description?: string; readonly content?: Record<string, { readonly schema?: Schema }> }
  >
}

export function docsPage(document: Readonly<Record<string, unknown>>): string {
  const paths = document.paths as Record<string, Record<string, Operation>>
  const schemas = ((document.components as { schemas?: Record<string, Schema> } | undefined)?.schemas ??
    {}) as Record<string, Schema>
  const rows = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const tags = [...new Set(rows.map((row) => row.operation.tags?.[0] ?? 'other'))]
  const sections = tags.map(
    (tag) =>
      `<section id="${escapeHtml(tag)}"><h2>${escapeHtml(tag)}</h2>${rows
        .filter((row) => (row.operation.tags?.[0] ?? 'other') === tag)
        .map((row) => operationHtml(row.method, row.path, row.operation))
        .join('')}</section>`,
  )
  const shapes = Object.entries(schemas)
    .toSorted(([left], [right]) => left.localeCompare(right))
    .map(
      ([name, schema]) =>
        `<details id="schema-${escapeHtml(name)}"><summary><code>${escapeHtml(name)}</code></summary>${schemaHtml(schema)}</details>`,
    )
  return page(
    tags.map((tag) => `<a href="#${escapeHtml(tag)}">${escapeHtml(tag)}</a>`).join(''),
    `${sections.join('')}<section id="schemas"><h2>Schemas</h2>${shapes.join('')}</section>`,
  )
}

function operationHtml(method: string, path: string, operation: Operation): string {
  const parameters = (operation.parameters ?? []).map(
    (parameter) =>
      `<tr><td><code>${escapeHtml(parameter.name)}</code></td><td>${escapeHtml(parameter.in)}${parameter.required ? ', required' : ''}</td><td>${typeHtml(parameter.schema)} ${escapeHtml(parameter.description ?? '')}</td></tr>`,
  )
  const body = firstSchema(operation.requestBody?.content)
  const answers = Object.entries(operation.responses ?? {}).map(
    ([status, answer]) =>
      `<li><code>${escapeHtml(status)}</code> ${typeHtml(firstSchema(answer.content))}</li>`,
  )
  return `<details><summary><b class="${method.toLowerCase()}">${method}</b> <code>/api/v1${escapeHtml(path)}</code> <span>${escapeHtml(operation.summary ?? '')}</span><i>${escapeHtml(operation['x-role'] ?? '')}</i></summary>
${parameters.length > 0 ? `<h3>Parameters</h3><table>${parameters.join('')}</table>` : ''}
${body ? `<h3>Body</h3>${schemaHtml(body)}` : ''}
<h3>Answers</h3><ul>${answers.join('')}</ul></details>`
}

const firstSchema = (content: Record<string, { readonly schema?: Schema }> | undefined): Schema | undefined =>
  Object.values(content ?? {})[0]?.schema

function schemaHtml(schema: Schema): string {
  if (!schema.properties) return `<p>${typeHtml(schema)}</p>`
  const rows = Object.entries(schema.properties).map(
    ([name, property]) =>
      `<tr><td><code>${escapeHtml(name)}</code>${schema.required?.includes(name) ? '' : ' <small>optional</small>'}</td><td>${typeHtml(property)}</td><td>${escapeHtml(property.description ?? '')}</td></tr>`,
  )
  return `<table>${rows.join('')}</table>`
}

function typeHtml(schema: Schema | undefined): string {
  if (!schema) return ''
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1) ?? ''
    return `<a href="#schema-${escapeHtml(name)}">${escapeHtml(name)}</a>`
  }
  if (schema.const !== undefined) return `<code>${escapeHtml(JSON.stringify(schema.const))}</code>`
  if (schema.enum) return schema.enum.map((value) => `<code>${escapeHtml(String(value))}</code>`).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.map(typeHtml).join(' | ')
  if (schema.items) return `list of ${typeHtml(schema.items)}`
  if (schema.properties) return `object {${Object.keys(schema.properties).map(escapeHtml).join(', ')}}`
  return escapeHtml(Array.isArray(schema.type) ? schema.type.join(' | ') : String(schema.type ?? 'any'))
}

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const page = (links: string, body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Understudy API</title><style>
:root{color-scheme:light dark;--line:light-dark(#dfe4ea,#232d3a);--quiet:light-dark(#56657a,#9aa6b5);--panel:light-dark(#fff,#111720)}
body{font:14px/1.5 system-ui,sans-serif;margin:0;background:light-dark(#f5f7f9,#0b1017);color:light-dark(#16202b,#e7ebf0)}
main{max-width:1040px;margin:0 auto;padding:24px}nav{display:flex;flex-wrap:wrap;gap:12px;margin:12px 0 20px}
a{color:light-dark(#0b7768,#3ac1aa)}h1{font-size:22px;margin:0}h2{font-size:17px;margin:28px 0 8px}h3{font-size:13px;margin:14px 0 4px;color:var(--quiet)}
details{background:var(--panel);border:1px solid var(--line);border-radius:8px;margin:6px 0;padding:8px 12px}summary{cursor:pointer;display:flex;gap:10px;align-items:baseline;flex-wrap:wrap}
summary i{margin-left:auto;color:var(--quiet);font-size:12px}summary span{color:var(--quiet)}summary b{width:58px;font-size:12px}
table{border-collapse:collapse;width:100%}td{border-top:1px solid var(--line);padding:4px 10px 4px 0;vertical-align:top}small{color:var(--quiet)}
</style></head><body><main><h1>Understudy API</h1><p>Machine-readable: <a href="/api/openapi.json">/api/openapi.json</a> (OpenAPI 3.1). <a href="/">Back to the console</a></p><nav aria-label="Resources">${links}</nav>${body}</main></body></html>`
