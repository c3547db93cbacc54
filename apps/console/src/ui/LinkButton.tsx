import { Button, type ButtonProps } from '@mantine/core'
import { createLink, type LinkComponent } from '@tanstack/react-router'
import type { AnchorHTMLAttributes, Ref } from 'react'
import { ActionButton } from './ActionButton.tsx'

type ButtonAnchorProps = ButtonProps &
  Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof ButtonProps> & {
    readonly ref?: Ref<HTMLAnchorElement>
    /** Why what it leads to cannot be done; null or left out when it can. */
    readonly reason?: string | null
  }

const ButtonAnchor = ({ reason = null, ...props }: ButtonAnchorProps) =>
  reason === null ? <Button component="a" {...props} /> : <Blocked reason={reason} {...props} />

/** It leads nowhere then: a button that says why, with the looks of the link. */
const Blocked = ({ reason, children, ...props }: ButtonAnchorProps & { readonly reason: string }) => {
  const { size, variant, color, leftSection, rightSection } = props
  const looks = { size, variant, color, leftSection, rightSection }
  return (
    <ActionButton reason={reason} onClick={() => {}} {...withoutUndefined(looks)}>
      {children}
    </ActionButton>
  )
}

const withoutUndefined = <Props extends object>(props: Props) =>
  Object.fromEntries(Object.entries(props).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Props]?: Exclude<Props[Name], undefined>
  }

/** A button that leads somewhere: address, parameters and search are checked against the routes. */
export const LinkButton: LinkComponent<typeof ButtonAnchor> = createLink(ButtonAnchor)
