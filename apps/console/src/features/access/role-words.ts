import { Role } from '@understudy/contract/access'

const wordsOfRole: Record<Role, string> = {
  reader: 'Reader: looks',
  operator: 'Operator: tests, fails over',
  contributor: 'Contributor: sets up',
  owner: 'Owner: everything',
}

export const roleOptions = Role.options.map((value) => ({ value, label: wordsOfRole[value] }))
