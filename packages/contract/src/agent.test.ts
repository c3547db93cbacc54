import { expect, test } from 'vitest'
import { AgentInvitationInput } from './agent.ts'

const isProxy = (proxy: string): boolean =>
  AgentInvitationInput.safeParse({ roles: ['protected-server'], proxy }).success

test.each(['http://proxy:3128', 'http://proxy.example', 'http://192.0.2.1:80', 'http://[2001:db8::1]:3128'])(
  '%s may become part of the command',
  (proxy) => expect(isProxy(proxy)).toBe(true),
)

test.each([
  'proxy:3128',
  'https://proxy:3128',
  'http://proxy:3128/path',
  'http://proxy;reboot',
  'http://$(reboot)',
  'http://`reboot`:80',
  'http://proxy:3128 --insecure',
  "http://proxy'",
  'http://proxy:3128\nreboot',
  '',
])('%j may not: a shell would see more in it than an address', (proxy) => expect(isProxy(proxy)).toBe(false))
