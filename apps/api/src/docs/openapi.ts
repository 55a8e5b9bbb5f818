import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { NextFunction, Request, Response } from 'express';
import { serve, setup } from 'swagger-ui-express';
import { packageVersion } from '../health/version';
import { withBodyPerMediaType } from './media-types';

const DESCRIPTION = `Tells before rollout, with a replay of the Linux page allocator as evidence, how
KVM guests will be placed on a NUMA host, and which numatune and vm sysctl settings serve them better.

1. Store a host: \`POST /v1/hosts/import\` with what the host printed.
2. Store its domains: \`PUT /v1/hosts/{hostId}/domains/{name}\` with the libvirt XML.
3. Ask for a simulation or a recommendation, and follow the job.

Every example in this console can be sent as it stands. Errors are problem+json (RFC 9457) with a
stable \`code\`.`;

export function createOpenApi(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('Zonewise')
    .setDescription(DESCRIPTION)
    .setVersion(packageVersion())
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addTag('hosts', 'NUMA hosts, from what their kernels print')
    .addTag('layout', 'Memory models, and marks and reserves under any known kernel')
    .addTag('domains', 'libvirt domains of a host, running or planned')
    .addTag('simulations', 'Replays of the domains on the host')
    .addTag('recommendations', 'Advice with its evidence')
    .addTag('packing-plans', 'The gate: does a plan hold?')
    .addTag('jobs', 'Work in progress')
    .addTag('service', 'Health and version')
    .build();
  return withBodyPerMediaType(SwaggerModule.createDocument(app, config));
}

/** Serves /openapi.json and the Swagger console at /docs. Called before the routes are mounted. */
export function mountDocs(app: INestApplication): void {
  const document = createOpenApi(app);
  app.use('/openapi.json', (request: Request, response: Response, next: NextFunction) => {
    if (request.method !== 'GET') next();
    else response.json(document);
  });
  app.use(
    '/docs',
    serve,
    setup(document, {
      customSiteTitle: 'Zonewise API',
      swaggerOptions: { displayRequestDuration: true, tryItOutEnabled: true },
    }),
  );
}
