// What stands in the way of a step in Azure, as we find it ourselves.
import { Outage, Refusal } from '@understudy/base/errors'

const refuse = (code: string, message: string, remedy: string): Refusal =>
  new Refusal({ code: `azure/${code}`, message, remedy })

const CHECK_NAME = 'Correct its name or its resource group in the step; see the portal of Azure.'

export const notThere = (code: string, what: string, resourceGroup: string): Refusal =>
  refuse(code, `There is no ${what} in the resource group ${resourceGroup}`, CHECK_NAME)

export const noEndpoint = (endpoint: string, profile: string, known: readonly string[]): Refusal =>
  refuse(
    'no-endpoint',
    `The Traffic Manager profile ${profile} has no endpoint ${endpoint}${known.length === 0 ? '' : `; it has ${known.join(', ')}`}`,
    'Correct the name of the endpoint in the step.',
  )

export const endpointAmbiguous = (endpoint: string, profile: string): Refusal =>
  refuse(
    'endpoint-ambiguous',
    `The Traffic Manager profile ${profile} has more than one endpoint ${endpoint}`,
    'Give them different names in the portal of Azure.',
  )

export const noTarget = (endpoint: string): Refusal =>
  refuse(
    'target-of-azure',
    `The endpoint ${endpoint} leads to a resource of Azure and has no address of its own`,
    'Change the target of external endpoints only; this one is switched on and off instead.',
  )

export const notPublic = (addresses: readonly string[]): Refusal =>
  refuse(
    'address-not-public',
    `Traffic Manager can send nobody to ${addresses.length === 0 ? 'a machine without a known address' : addresses.join(', ')}: only inside a network it is reached there`,
    'Give the machine a public address in the settings of its site, or name the address that leads to it.',
  )

export const aliasRecord = (name: string, to: string): Refusal =>
  refuse(
    'record-is-alias',
    `The record ${name} is an alias of ${to}: an address in it would end that`,
    'Remove the alias in the portal of Azure if the step is to set the record, or change what it leads to instead.',
  )

export const registeredRecord = (name: string): Refusal =>
  refuse(
    'record-registered',
    `The record ${name} was made by Azure for a machine of a network that registers in this zone`,
    'Choose another name, or switch off the registration of the network in the zone.',
  )

export const recordConflict = (name: string, detail: string): Refusal =>
  refuse(
    'record-conflict',
    `The zone has a record of another kind under the name ${name}: ${detail}`,
    'Remove the other record: beside a CNAME nothing else can have its name.',
  )

export const poolOfAdapters = (pool: string): Refusal =>
  refuse(
    'pool-of-adapters',
    `The pool ${pool} holds network adapters, and Azure does not put addresses beside them`,
    'Put the adapter of the machine into it, or use a pool of its own for addresses.',
  )

export const poolOfAddresses = (pool: string): Refusal =>
  refuse(
    'pool-of-addresses',
    `The pool ${pool} holds addresses, and Azure does not put network adapters beside them`,
    'Put an address into it, or use a pool of its own for adapters.',
  )

export const noAdapter = (machine: string): Refusal =>
  refuse(
    'no-adapter',
    `${machine} has no network adapter`,
    'Give it one, in a network that the load balancer reaches.',
  )

/** It took what we sent and says something else. */
export const notAsAsked = (what: string, is: string): Outage =>
  new Outage({
    code: 'azure/not-as-asked',
    message: `Azure took the change of ${what}, but it is ${is}`,
    remedy: 'It is tried again. If it stays, see the activity log of Azure for who else changes it.',
  })

export const changedMeanwhile = (what: string): Outage =>
  new Outage({
    code: 'azure/changed-meanwhile',
    message: `Somebody else keeps changing ${what}`,
    remedy: 'It is tried again. See the activity log of Azure for who it is.',
  })
