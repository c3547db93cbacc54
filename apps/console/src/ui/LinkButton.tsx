import { Button, type ButtonProps } from '@mantine/core'
import { createLink, type LinkComponent } from '@tanstack/react-router'
import type { AnchorHTMLAttributes, Ref } from 'react'

type ButtonAnchorProps = ButtonProps &
  Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof ButtonProps> & {
    readonly ref?: Ref<HTMLAnchorElement>
  }
const ButtonAnchor = (props: ButtonAnchorProps) => <Button component="a" {...props} />

/** A button that leads somewhere: address, parameters and search are checked against the routes. */
export const LinkButton: LinkComponent<typeof ButtonAnchor> = createLink(ButtonAnchor)
