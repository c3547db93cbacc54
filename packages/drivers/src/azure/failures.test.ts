import { expect, test } from 'vitest'
import { fromAzure } from './failures.ts'

const fault = { status: null, detail: '', retryAfterSeconds: null, cause: null }

test.each([
  [
    { name: 'ENOTFOUND', detail: 'getaddrinfo ENOTFOUND contoso.example ' },
    'azure/account-unknown',
    'contoso.example',
  ],
  [{ name: 'AccountNotFound', status: 404 }, 'azure/account-unknown', 'no storage account'],
  // Of these nothing is known about the account: the line, the name server of this computer, the proxy.
  [{ name: 'EAI_AGAIN' }, 'azure/unreachable', 'EAI_AGAIN'],
  [
    { name: 'ENOTFOUND', proxy: 'http://proxy.test:3128' },
    'azure/unreachable',
    'The proxy http://proxy.test:3128',
  ],
])('%j is told as %s', (more, code, words) => {
  const failure = fromAzure({ ...fault, ...more }, 'list the container')
  expect(failure).toMatchObject({ code, message: expect.stringContaining(words) })
})
