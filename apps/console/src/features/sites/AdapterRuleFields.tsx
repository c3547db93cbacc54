import { Checkbox, Fieldset, Stack, Text, TextInput } from '@mantine/core'
import type { PlacementChoice } from '@understudy/contract/site'
import { useState } from 'react'
import { checkRule, type RuleDraft } from './adapter-rules.ts'
import { ResourceField, ResourcesField } from './ResourceField.tsx'
import { choicesOf } from './resource-options.ts'

type AdapterRuleFieldsProps = {
  readonly title: string
  /** What the group of fields is called for whoever does not see where it stands. */
  readonly label: string
  readonly draft: RuleDraft
  /** What there is at the site. */
  readonly choices: readonly PlacementChoice[]
  readonly disabled: boolean
  readonly onChange: (change: Partial<RuleDraft>) => void
}

/** What one adapter gets in a test, or in a failover. */
export function AdapterRuleFields(props: AdapterRuleFieldsProps) {
  const { title, label, draft, choices, disabled, onChange } = props
  const problems = checkRule(draft)
  const [wantsFixed, setWantsFixed] = useState(false)
  const isFixed = draft.address !== '' || wantsFixed
  return (
    <Fieldset legend={title} aria-label={label} disabled={disabled}>
      <Stack gap="sm">
        <Checkbox
          label="Fixed address"
          description="Otherwise Azure gives it one"
          checked={isFixed}
          onChange={(event) => {
            setWantsFixed(event.currentTarget.checked)
            if (!event.currentTarget.checked) onChange({ address: '' })
          }}
        />
        {isFixed && (
          <TextInput
            label="Private address"
            description="Not the first four and not the last of the subnet"
            placeholder="10.1.1.10"
            value={draft.address}
            onChange={(event) => onChange({ address: event.currentTarget.value })}
            error={problems.address ?? null}
            spellCheck={false}
          />
        )}
        <ResourceField
          label="Security group"
          description="None: only what the subnet has"
          placeholder="/subscriptions/…/networkSecurityGroups/…"
          options={choicesOf(choices, 'security-group')}
          value={draft.securityGroupId}
          onChange={(securityGroupId) => onChange({ securityGroupId })}
          error={problems.securityGroupId ?? null}
        />
        <ResourcesField
          label="Pools of load balancers"
          description="Back-end pools that it comes into"
          placeholder="/subscriptions/…/backendAddressPools/…"
          options={choicesOf(choices, 'load-balancer-pool')}
          value={draft.backendPoolIds}
          onChange={(backendPoolIds) => onChange({ backendPoolIds })}
          error={problems.backendPoolIds ?? null}
        />
        <Checkbox
          label="Public address"
          description="Made for the run, and gone with it"
          checked={draft.publicAddress}
          onChange={(event) => onChange({ publicAddress: event.currentTarget.checked })}
        />
        {draft.publicAddress && draft.mode === 'test' && (
          <Text size="sm" c="var(--at-risk)" role="status">
            The machine under test can be reached from the internet where its security group lets it.
          </Text>
        )}
      </Stack>
    </Fieldset>
  )
}
